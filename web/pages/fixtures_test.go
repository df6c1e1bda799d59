package pages_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"greentally"
	"greentally/access"
	"greentally/internal/health"
	"greentally/web"
	"greentally/web/pages"
)

var (
	china   = time.FixedZone("CST", 8*60*60)
	noon    = time.Date(2026, 10, 8, 12, 0, 0, 0, china)
	october = greentally.Month{Year: 2026, Month: time.October}
	bin     = &greentally.Device{Community: "jiayuan", ID: "bin-1", Name: greentally.Text{ZH: "一号桶", EN: "Bin 1"}, Kind: "sorting_bin", Site: "e1", Stream: greentally.Food, Interval: greentally.Duration(10 * time.Minute)}
	box     = &greentally.Device{Community: "jiayuan", ID: "box", Kind: "battery_box", Site: "e1", Interval: greentally.Duration(10 * time.Minute)}
	limit   = 0.9
)

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// hostile is a text that would break a page that writes it as it is.
const hostile = `<script>alert(1)</script>`

// backend is what is behind the pages in these tests. It keeps what was done by it.
type backend struct {
	done      []string
	audited   []string
	err       error
	added     greentally.Record
	adopted   greentally.Device
	step      greentally.Step
	strangers int // that were discovered; two of all kinds if it is 0
	user      access.User
	troubles  []health.Trouble
	manager   bool // who looks is no administrator
}

func (b *backend) do(format string, args ...any) error {
	b.done = append(b.done, fmt.Sprintf(format, args...))
	return b.err
}

// newPages shows a community of which some things are known.
func newPages() (*pages.Pages, *backend) {
	b := &backend{}
	value, numerator, denominator := 0.97, 97.0, 100.0
	rate := greentally.IndicatorValue{
		Community: "jiayuan", Month: october, Indicator: "recyclable_capture", Title: greentally.Text{ZH: "可回收垃圾回收率", EN: "Recyclable capture"},
		Unit: "ratio", Value: &value, Numerator: &numerator, Denominator: &denominator, Completeness: 1, Verdict: greentally.Pass, Target: &greentally.Target{AtLeast: &limit},
		Inputs: []greentally.InputValue{{Name: "recovered", Devices: []string{"bin-1"}}},
	}
	saved, grams, carbon := 1234.5, 2346.0, 650.0
	none := greentally.IndicatorValue{Community: "jiayuan", Month: october, Indicator: "bagged", Title: greentally.Text{ZH: "袋装率", EN: "Bagged"}, Unit: "ratio", Verdict: greentally.InsufficientData,
		Reason: greentally.Text{ZH: "没有记录", EN: "there is no record"}}
	values := []greentally.IndicatorValue{
		rate, none,
		{Community: "jiayuan", Month: october, Indicator: "lighting_saved_kwh", Unit: "kWh", Value: &saved, Verdict: greentally.NoTarget},
		{Community: "jiayuan", Month: october, Indicator: "lighting_carbon", Unit: "kg", Value: &carbon, Verdict: greentally.NoTarget},
		{Community: "jiayuan", Month: october, Indicator: "batteries_per_household", Unit: "g/household", Value: &value, Numerator: &grams, Verdict: greentally.NoTarget},
	}
	old := 0.91
	before := rate
	before.Month, before.Value = october.First().Add(-1).MonthOf(), &old
	survey := greentally.RecordType{Name: "survey", Title: greentally.Text{ZH: "问卷调查", EN: "Survey"}, Values: []greentally.RecordValue{{Name: "asked", Title: greentally.Text{ZH: "调查人数", EN: "People asked"}}, {Name: "aware", Title: greentally.Text{ZH: "知晓人数", EN: "People who know"}, Optional: true}}}
	ticket := greentally.RecordType{Name: "haul_ticket", Title: greentally.Text{ZH: "清运联单", EN: "Haul ticket"}, Needs: []string{"stream", "device", "item", "until", "at", "end"}, Kinds: []string{"sorting_bin"}, Open: true,
		Texts: []greentally.RecordText{{Name: "carrier", Title: greentally.Text{ZH: "清运单位", EN: "Carrier"}}, {Name: "treatment", Title: greentally.Text{ZH: "处置方式", EN: "Treatment"}, OneOf: []string{"recycling", "landfill"}}}}
	day := greentally.Date{Year: 2026, Month: 10, Day: 6}
	record := greentally.Record{ID: "R1", Community: "jiayuan", Type: "survey", Date: day, Values: greentally.Values{"asked": 200}, By: hostile, Why: "年度调查", Recorded: noon,
		Attachments: []greentally.Attachment{{Name: "照片.jpg", MediaType: "image/jpeg", Size: 2 << 20, SHA256: hash}, {Name: "a.pdf", MediaType: "application/pdf", Size: 900, SHA256: hash}}}
	corrected := greentally.Record{ID: "R0", Community: "jiayuan", Type: "survey", Date: day, Values: greentally.Values{"asked": 20}, By: "li", Recorded: noon}
	record.Replaces = "R0"
	until := day
	ofBin := greentally.Record{ID: "R2", Community: "jiayuan", Type: "haul_ticket", Date: day, Until: &until, At: &noon, End: &noon, Stream: greentally.Food, Device: "bin-1", Item: "neimenggu/noise", Texts: map[string]string{"carrier": hostile},
		Values: greentally.Values{"kg": 12.5}, By: "li", Recorded: noon}
	records := []greentally.Record{corrected, record, ofBin}
	applied := greentally.Application{ID: "A1", Community: "jiayuan", Scheme: "neimenggu", Month: october, Stage: greentally.StageSubmitted, Submission: &greentally.Submission{Bundle: hash, Bytes: 3 << 20, At: noon},
		Steps: []greentally.Step{{Application: "A1", To: greentally.StageDraft, On: day, By: "li", Why: hostile}}}
	silence := greentally.Silence{ID: "S1", Community: "jiayuan", Rule: "battery_box_hot", Device: "box", Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour), By: "王芳", Why: hostile}
	root := access.User{Name: "root", Display: hostile, Bindings: []access.Binding{{Role: access.RoleAdministrator}}, Password: true, Revision: 1}
	li := access.User{Name: "李.li+1@x", Email: "li@example.org", Subject: "s-1", Language: "en", Disabled: true, Revision: 7, Bindings: []access.Binding{
		{Role: access.RoleManager, Communities: []string{"jiayuan", "gone"}}, {Role: access.RoleAssessor, Communities: []string{"quiet"}}}}
	yesterday := greentally.Date{Year: 2026, Month: 10, Day: 7}
	p := &pages.Pages{
		Access: pages.Access{
			Provider: true,
			Users:    func() []access.User { return []access.User{root, li} },
			User: func(name string) (access.User, error) {
				for _, u := range []access.User{root, li} {
					if u.Name == name {
						return u, nil
					}
				}
				return access.User{}, fmt.Errorf("user: %w", fs.ErrNotExist)
			},
			AddUser: func(_ context.Context, u access.User, password string) (access.User, error) {
				b.user = u
				return u, b.do("add user %s with %q", u.Name, password)
			},
			ChangeUser: func(_ context.Context, u access.User) (access.User, error) {
				b.user = u
				return u, b.do("change user %s at %d", u.Name, u.Revision)
			},
			SetPassword: func(_ context.Context, name, password string) (access.User, error) {
				return access.User{}, b.do("set password %q of %s", password, name)
			},
			RemoveUser: func(_ context.Context, name string, revision uint64) error {
				return b.do("remove user %s at %d", name, revision)
			},
			Tokens: func() []access.Token {
				return []access.Token{{Name: "大厅-3", Binding: access.Binding{Role: access.RoleScreen, Communities: []string{"jiayuan"}}, Created: noon, By: "root", Used: &yesterday}, {Name: "prometheus", Binding: access.Binding{Role: access.RoleMonitor}, Created: noon}}
			},
			AddToken: func(_ context.Context, t access.Token) (string, error) {
				return "greentally_s3cret", b.do("add token %s: %s of %q", t.Name, t.Role, t.Communities)
			},
			RevokeToken: func(_ context.Context, name string) error { return b.do("revoke token %s", name) },
			Entries: func(r *http.Request) ([]access.Entry, error) {
				if r.FormValue("before") == "x" {
					return nil, fmt.Errorf("%w: before", web.ErrBadRequest)
				}
				all := []access.Entry{{ID: 900, At: noon, Who: "root", Role: access.RoleAdministrator, Address: "192.0.2.1", Action: "POST /api/v1/users", What: map[string]string{"id": hostile}, Result: access.Done},
					{ID: 899, At: noon, Action: "POST /c/{community}/records", Community: "jiayuan", Result: access.Refused}, {ID: 898, At: noon, Action: "POST /api/v1/nothing/{id}", Result: access.Failed}}
				for i := range pages.EntriesShown - len(all) {
					all = append(all, access.Entry{ID: uint64(897 - i), At: noon, Action: "login", Result: access.Done})
				}
				if r.FormValue("before") != "" {
					all = all[:1]
				}
				return all, nil
			},
		},
		Person: func(context.Context) string { return "" }, Secure: func(r *http.Request) bool { return r.TLS != nil }, News: &web.News{},
		Account: pages.Account{Me: func(context.Context) pages.Me { return pages.Me{} }},
		Server: &web.Server{
			Troubles: func() []health.Trouble { return b.troubles },
			Identify: func(next http.Handler) http.Handler { return next },
			May: func(_ context.Context, a web.Action, community string) bool {
				return community != "others" && (!b.manager || a != web.Administer)
			},
			Audit: func(_ *http.Request, action, community string, err error) {
				b.audited = append(b.audited, fmt.Sprint(action, " ", community, " ", err == nil))
			},
			Communities: func() []*greentally.Community {
				return []*greentally.Community{
					{ID: "jiayuan", Name: greentally.Text{ZH: `嘉苑` + hostile, EN: "Jiayuan & sons"}, Households: 3100, Sites: []greentally.Site{{ID: "e1", Name: greentally.Text{ZH: "一号门", EN: "Gate 1"}}, {ID: "e2"}}, Devices: []*greentally.Device{bin, box}},
					{ID: "others", Name: greentally.Text{ZH: "别的社区", EN: "Others"}, Households: 10, Devices: []*greentally.Device{{Community: "others", ID: "bin-1", Kind: "sorting_bin"}}},
					{ID: "quiet", Name: greentally.Text{ZH: "静园", EN: "Quiet"}, Households: 10},
				}
			},
			Latest: func(key greentally.DeviceKey) (greentally.Reading, bool) {
				return greentally.Reading{DeviceKey: key, Kind: "sorting_bin", Time: noon.Add(-2 * time.Minute), Values: []greentally.Value{{Quantity: "fill_ratio", Number: 0.95}, {Quantity: "mass_kg", Number: 31.4}, {Quantity: "status", State: "lid_open"}}}, key == bin.Key()
			},
			Alerts: func() []greentally.Alert {
				a := greentally.Alert{Community: "jiayuan", Rule: "bin_overflowing", Severity: greentally.Critical, Device: "bin-1", Title: greentally.Text{ZH: "垃圾桶满溢", EN: "Bin overflows"},
					Summary: greentally.Text{ZH: "95 %" + hostile, EN: "95 %"}, Action: greentally.Text{ZH: "请清运", EN: "Empty it"}, Since: noon.Add(-time.Hour), Fired: noon.Add(-time.Hour)}
				hot := greentally.Alert{Community: "jiayuan", Rule: "battery_box_hot", Severity: greentally.Warning, Device: "box", Title: greentally.Text{ZH: "电池箱过热", EN: "Box is hot"}, Since: noon, Fired: noon}
				over, elsewhere := a, a
				over.Rule, over.Ended, over.Title = "bin_tilted", &noon, greentally.Text{ZH: "桶已倾倒", EN: "Bin was tilted"}
				elsewhere.Community, elsewhere.Title = "others", greentally.Text{ZH: "别的社区", EN: "Others"}
				return []greentally.Alert{hot, a, over, elsewhere}
			},
			DeviceDays: func(_ context.Context, q greentally.DeviceDayQuery) ([]greentally.DeviceDay, error) {
				one := greentally.DeviceDay{DeviceKey: bin.Key(), Stream: greentally.Recyclable, Date: q.From, Hours: 24, Readings: 144, Expected: 144,
					Masses: map[string]greentally.MassDay{"mass_kg": {Deposited: 40 * greentally.Unit, Collected: 38 * greentally.Unit}}, Gauges: map[string]greentally.GaugeDay{"fill_ratio": {Max: greentally.Unit / 2}}}
				last := one
				last.Date = q.To
				return []greentally.DeviceDay{one, last}, nil
			},
			Readings: func(_ context.Context, key greentally.DeviceKey, from, _ time.Time, _ int) ([]greentally.Reading, error) {
				one := greentally.Reading{DeviceKey: key, Time: from, Values: []greentally.Value{{Quantity: "mass_kg", Number: 12.345}}}
				late := one
				late.Time = from.Add(5 * time.Hour)
				return []greentally.Reading{one, late}, nil
			},
			Records: func(_ context.Context, community string, _, _ greentally.Date) ([]greentally.Record, error) {
				if community != "jiayuan" {
					return nil, nil
				}
				return records, nil
			},
			Record: func(_ context.Context, community, id string) (greentally.Record, error) {
				i := slices.IndexFunc(records, func(r greentally.Record) bool { return r.ID == id && r.Community == community })
				if i < 0 {
					return greentally.Record{}, fmt.Errorf("record: %w", fs.ErrNotExist)
				}
				return records[i], nil
			},
			AddRecord: func(_ context.Context, r greentally.Record) (greentally.Record, error) {
				b.added = r
				r.ID = "R9"
				return r, b.do("record %s %s", r.Community, r.Type)
			},
			AddAttachment: func(_ context.Context, community, name string, content []byte) (greentally.Attachment, error) {
				return greentally.Attachment{Name: name, MediaType: "image/jpeg", Size: int64(len(content)), SHA256: hash}, b.do("attach %s %s %d", community, name, len(content))
			},
			Silences: web.Silences{
				List: func(_ context.Context, community string) ([]greentally.Silence, error) {
					if community != "jiayuan" {
						return nil, nil
					}
					return []greentally.Silence{silence}, nil
				},
				Add: func(_ context.Context, s greentally.Silence) (greentally.Silence, error) {
					return s, b.do("silence %s %s/%s%s for %v by %s: %s", s.Community, s.Rule, s.Device, s.Indicator, s.Until.Sub(s.Since), s.By, s.Why)
				},
				End: func(_ context.Context, community, id string) error { return b.do("end silence %s %s", community, id) },
				Now: func() time.Time { return noon },
				Who: func(context.Context) string { return "" },
			},
			Exports: web.Exports{
				Kept: func(context.Context, string) ([]greentally.KeptExport, error) {
					return []greentally.KeptExport{{Month: october, Made: noon, Bundle: hash, Bytes: 900}}, nil
				},
				Applications: func(context.Context, string) ([]greentally.Application, error) {
					return []greentally.Application{applied}, nil
				},
				Application: func(_ context.Context, id string) (greentally.Application, error) {
					one := applied
					one.ID = id
					switch id {
					case "A1":
					case "A2":
						one.Stage, one.Submission = greentally.StageAccepted, nil
					case "theirs":
						one.Community = "others"
					default:
						return one, fmt.Errorf("application: %w", fs.ErrNotExist)
					}
					return one, nil
				},
				Revisions: func(context.Context, greentally.Application) ([]greentally.Revision, error) {
					return []greentally.Revision{{Of: "indicator", Name: "recyclable_capture", What: "value", Old: "0.97", New: "0.96", Title: rate.Title}}, nil
				},
				Step: func(_ context.Context, id string, s greentally.Step) (greentally.Application, error) {
					b.step = s
					return applied, b.do("step %q to %s of %s", id, s.To, s.Community)
				},
				Key: func() string { return "RWSkey" },
			},
			Discovered: func(_ context.Context, q web.DiscoveredQuery) ([]greentally.Discovered, int, error) {
				if b.strangers > 0 {
					return strangersAfter(q, b.strangers), b.strangers, nil
				}
				return []greentally.Discovered{
					{DeviceKey: greentally.DeviceKey{Community: "jiayuan", Device: "new-1"}, Profile: "native", Kind: "sorting_bin", Topic: "greentally/v1/jiayuan/new-1/readings", Payload: hostile, Last: noon},
					{DeviceKey: greentally.DeviceKey{Device: "nowhere"}, Profile: "native", Topic: "vendor/nowhere", Payload: "{}", Last: noon},
				}, 2, nil
			},
			Adopt: func(_ context.Context, d greentally.Device) error {
				b.adopted = d
				return b.do("adopt %s", d.Key())
			},
			DeadLetters: func(_ context.Context, after uint64, _ int) ([]greentally.DeadLetter, error) {
				return []greentally.DeadLetter{{ID: 7, Topic: "greentally/v1/x", Payload: []byte("\xff" + hostile), Received: noon, Reason: greentally.BadPayload, Detail: fmt.Sprint("after ", after)}}, nil
			},
			ReplayDeadLetter: func(_ context.Context, id uint64) error { return b.do("replay %d", id) },
			DeleteDeadLetter: func(_ context.Context, id uint64) error { return b.do("delete %d", id) },
			Log:              slog.New(slog.DiscardHandler),
		},
		Values: func(context.Context, string, greentally.Month) ([]greentally.IndicatorValue, error) {
			return values, nil
		},
		Stored: func(_ context.Context, _ string, month greentally.Month) ([]greentally.IndicatorValue, error) {
			if month == before.Month {
				return []greentally.IndicatorValue{before}, nil
			}
			return nil, nil
		},
		Recovered: func(_ context.Context, _ string, month greentally.Month) (map[greentally.Date]greentally.Amount, error) {
			put := map[string]greentally.MassDay{"mass_kg": {Deposited: 40 * greentally.Unit}}
			return pages.Recovered([]greentally.DeviceDay{
				{Stream: greentally.Recyclable, Date: month.First(), Masses: put}, {Stream: greentally.Recyclable, Date: month.First().Add(-1), Masses: put}, {Stream: greentally.Food, Date: month.First(), Masses: put}, {Stream: greentally.Recyclable, Date: month.First()},
			}), nil
		},
		Workings: func(context.Context, string, greentally.Month) ([]pages.Computed, error) {
			return pages.Together(values, []greentally.Working{
				{Indicator: "recyclable_capture", Numerator: "recovered", Denominator: "recovered + left", Inputs: []greentally.InputWorking{{
					Name: "recovered", Kind: "sorting_bin", Value: "mass_kg.collected", Result: &numerator,
					Times: &greentally.TimesWorking{Record: "composition_audit", Value: "recyclable_ratio", Weight: "sample_kg", Records: map[greentally.Stream][]string{greentally.Food: {"AUDIT1"}}},
					Rows: []greentally.WorkingRow{
						{Device: "bin-1", Date: greentally.Date{Year: 2026, Month: 10, Day: 7}, Stream: greentally.Food, Amount: 12_300_000, Facts: map[string]any{"mass_kg.collected": 12.3, "x": true}},
						{Device: "bin-1", Date: greentally.Date{Year: 2026, Month: 10, Day: 6}, Stream: greentally.Food, Amount: 700_000},
						{Device: "bin-2", Date: greentally.Date{Year: 2026, Month: 10, Day: 6}, Amount: 5_000_000},
						{ID: "01K8", Date: greentally.Date{Year: 2026, Month: 10, Day: 6}, Amount: 1},
						{Device: "bin-1", Time: noon, Amount: 2},
					},
				}}},
				{Indicator: "bagged"},
			}), nil
		},
		Assessments: func(context.Context, string, greentally.Month) ([]greentally.Assessment, error) {
			return []greentally.Assessment{{Community: "jiayuan", Month: october, Scheme: "neimenggu", Title: greentally.Text{ZH: "内蒙古", EN: "Inner Mongolia"}, AtLeast: 10, AtMost: 98, Total: 100, Verdict: greentally.InsufficientData,
				Items: []greentally.ItemResult{{Item: "noise", Title: greentally.Text{ZH: "噪声", EN: "Noise"}, Rule: "judged", AtLeast: 1, AtMost: 5, Points: 5, Verdict: greentally.InsufficientData, Reasons: []greentally.Text{{ZH: "没有检查", EN: "nobody looked"}}, Indicators: []string{"recyclable_capture"}, Records: []string{"R1"}},
					{Item: "law", Title: greentally.Text{ZH: "守法", EN: "Law"}, Rule: "veto", Verdict: greentally.Pass}}}}, nil
		},
		Location: func(string) (*time.Location, bool) { return china, true },
		Kind: func(string) (*greentally.Kind, bool) {
			return &greentally.Kind{Name: "sorting_bin", Title: greentally.Text{ZH: "分类垃圾桶", EN: "Sorting bin"}, Quantities: []greentally.Quantity{
				{Name: "fill_ratio", Nature: greentally.Gauge, Unit: "/", Limit: &limit, Title: greentally.Text{ZH: "满溢度", EN: "Filling level"}}, {Name: "mass_kg", Nature: greentally.Mass, Unit: "kg", Title: greentally.Text{ZH: "质量", EN: "Mass"}},
				{Name: "status", Nature: greentally.State, States: []string{"ok", "lid_open"}, StateTitles: map[string]greentally.Text{"lid_open": {ZH: "桶盖开着", EN: "lid open"}}, Title: greentally.Text{ZH: "状态", EN: "Status"}},
			}}, true
		},
		Now:   func() time.Time { return noon },
		Types: []greentally.RecordType{ticket, survey}, Items: []pages.Choice{{ID: "neimenggu/noise", Title: greentally.Text{ZH: "噪声", EN: "Noise"}}},
		Schemes:  []pages.Choice{{ID: "neimenggu", Title: greentally.Text{ZH: "内蒙古", EN: "Inner Mongolia"}}},
		Profiles: func() []string { return []string{"native", "senml"} },
		Next: func(s greentally.Stage) []greentally.Stage {
			return map[greentally.Stage][]greentally.Stage{greentally.StageSubmitted: {greentally.StageSurveyed}, greentally.StageAccepted: {greentally.StageNamed}}[s]
		},
	}
	p.Kinds = func() []*greentally.Kind {
		kind, _ := p.Kind("sorting_bin")
		return []*greentally.Kind{kind}
	}
	return p, b
}

func first[A, B any](a A, _ B) A { return a }

// handlerOf serves the pages.
func handlerOf(t testing.TB, p *pages.Pages) http.Handler {
	t.Helper()
	all, none, err := p.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, page := range all {
		mux.Handle(pattern, page)
	}
	mux.Handle("/", none)
	return mux
}

// strangersAfter is a page of n devices of jiayuan that are in no file.
func strangersAfter(q web.DiscoveredQuery, n int) (page []greentally.Discovered) {
	for i := range n {
		d := greentally.Discovered{DeviceKey: greentally.DeviceKey{Community: q.Community, Device: fmt.Sprintf("new-%04d", i)}, Profile: "native", Last: noon}
		if d.String() > q.After && len(page) < q.Limit {
			page = append(page, d)
		}
	}
	return page
}
