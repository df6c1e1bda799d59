package pages

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"greentally"
	"greentally/web"
)

// recordList are the records of a month.
type recordList struct {
	months
	Records []listed
	Types   []greentally.RecordType
}

// listed is a record with what its type is called.
type listed struct {
	greentally.Record
	Type     greentally.RecordType
	Replaced bool // or withdrawn
}

func (p *Pages) recordType(name string) (greentally.RecordType, bool) {
	i := slices.IndexFunc(p.Types, func(t greentally.RecordType) bool { return t.Name == name })
	if i < 0 {
		return greentally.RecordType{Name: name, Title: greentally.Text{ZH: name, EN: name}}, false
	}
	return p.Types[i], true
}

func (p *Pages) records(v *view) (any, error) {
	month, err := v.month()
	if err != nil {
		return nil, err
	}
	all, err := p.Records(v.Context(), v.Community.ID, month.First(), month.Last())
	if err != nil {
		return nil, err
	}
	inForce := map[string]bool{}
	for _, r := range greentally.InForce(all) {
		inForce[r.ID] = true
	}
	list := recordList{months: around(month), Types: p.Types}
	for _, r := range slices.Backward(all) {
		t, _ := p.recordType(r.Type)
		list.Records = append(list.Records, listed{r, t, !inForce[r.ID]})
	}
	return list, nil
}

func (p *Pages) record(v *view) (any, error) {
	r, err := p.Record(v.Context(), v.Community.ID, v.PathValue("id"))
	if err != nil {
		return nil, err
	}
	// Which record replaces it stands in that one, which can be of another day.
	all, err := p.Records(v.Context(), v.Community.ID, greentally.Date{}, greentally.Date{})
	t, _ := p.recordType(r.Type)
	return listed{r, t, slices.ContainsFunc(all, func(other greentally.Record) bool { return other.Replaces == r.ID })}, err
}

// IsImage reports whether browsers show an attachment.
func (l listed) IsImage(a greentally.Attachment) bool {
	return slices.Contains([]string{"image/jpeg", "image/png", "image/webp", "image/gif"}, a.MediaType)
}

// recordForm is what a record is written down with.
type recordForm struct {
	Types    []greentally.RecordType
	Type     *greentally.RecordType // nil as long as none is chosen
	Devices  []*greentally.Device   // that it can be about
	Items    []Choice
	Streams  []greentally.Stream
	Free     []int                   // numbers of values that have no name yet
	Replaces *greentally.Record      // that it corrects
	Kept     []greentally.Attachment // that were sent already
}

// freeValues is how many values of other names a form has room for.
const freeValues = 4

func (p *Pages) newRecord(v *view) (any, error) {
	form := recordForm{Types: p.Types, Streams: greentally.Streams(), Items: p.Items}
	name := v.URL.Query().Get("type")
	if v.sent != nil {
		name = v.sent.Get("type")
	}
	if id := v.replaces(); id != "" {
		r, err := p.Record(v.Context(), v.Community.ID, id)
		if err != nil {
			return nil, err
		}
		form.Replaces, name = &r, r.Type
		if v.sent == nil {
			v.sent = fieldsOf(r, v.Location)
		}
		form.Kept = r.Attachments
	}
	if name == "" {
		return form, nil
	}
	t, known := p.recordType(name)
	if !known {
		return nil, greentally.Missingf("没有记录类型 %q", "there is no type %q of records", name)
	}
	form.Type = &t
	for _, d := range v.Community.Devices {
		if len(t.Kinds) == 0 || slices.Contains(t.Kinds, d.Kind) {
			form.Devices = append(form.Devices, d)
		}
	}
	if t.Open {
		for i := range freeValues {
			form.Free = append(form.Free, i)
		}
	}
	for _, text := range v.sent["kept"] {
		if a, ok := parseKept(text); ok && !slices.ContainsFunc(form.Kept, func(b greentally.Attachment) bool { return b.SHA256 == a.SHA256 }) {
			form.Kept = append(form.Kept, a)
		}
	}
	return form, nil
}

func (v *view) replaces() string {
	if v.sent != nil {
		return v.sent.Get("replaces")
	}
	return v.URL.Query().Get("replaces")
}

// Needs reports whether the type needs a field.
func (f recordForm) Needs(field string) bool {
	return f.Type != nil && slices.Contains(f.Type.Needs, field)
}

// May reports whether a record of the type can have a field that it does not need.
func (f recordForm) May(field string) bool {
	return f.Needs(field) || field == "device" && f.Type != nil && len(f.Type.Kinds) > 0
}

// clockForm is how browsers write an instant by somebody's clocks.
const clockForm = "2006-01-02T15:04"

// fieldsOf are the fields of a form that say what a record says.
func fieldsOf(r greentally.Record, loc *time.Location) url.Values {
	f := url.Values{"type": {r.Type}, "date": {r.Date.String()}, "stream": {string(r.Stream)}, "device": {r.Device}, "item": {r.Item}, "by": {r.By}, "replaces": {r.ID}}
	if r.Until != nil {
		f.Set("until", r.Until.String())
	}
	for name, t := range map[string]*time.Time{"at": r.At, "end": r.End} {
		if t != nil {
			f.Set(name, t.In(loc).Format(clockForm))
		}
	}
	for i, name := range slices.Sorted(maps.Keys(r.Values)) {
		number := strconv.FormatFloat(r.Values[name], 'f', -1, 64)
		f.Set("value."+name, number)
		f.Set(fmt.Sprintf("name.%d", i), name)
		f.Set(fmt.Sprintf("number.%d", i), number)
	}
	for name, text := range r.Texts {
		f.Set("text."+name, text)
	}
	return f
}

// What a form with files may have.
const (
	maxFields = 64 << 10 // bytes, all together
	maxFiles  = 12
	maxUpload = maxFiles*greentally.MaxAttachment + 2*maxFields // bytes, with what is between the files
	sendTime  = 10 * time.Minute                                // for all of it, by a phone
)

// read reads a form with files: the fields, and what its files are kept as. Files are kept as they
// come, one after the other; so those of a form that is not taken need not be sent again.
func (p *Pages) read(v *view) ([]greentally.Attachment, error) {
	c := http.NewResponseController(v.w)
	_ = c.SetReadDeadline(v.Now.Add(sendTime)) // a server that has none lets it take as long
	_ = c.SetWriteDeadline(v.Now.Add(sendTime + time.Minute))
	v.sent = url.Values{}
	media, _, err := mime.ParseMediaType(v.Header.Get("Content-Type"))
	if err == nil && media != "multipart/form-data" {
		if err := v.ParseForm(); err != nil {
			return nil, v.wrong("bad_form")
		}
		v.sent = v.PostForm
		return nil, nil
	}
	parts, err := v.MultipartReader()
	if err != nil {
		return nil, v.wrong("bad_form")
	}
	var files []greentally.Attachment
	room := int64(maxFields)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, v.wrong("bad_form")
		}
		name := part.FileName()
		if part.FormName() != "file" {
			text, err := io.ReadAll(io.LimitReader(part, room+1))
			if room -= int64(len(text) + len(part.FormName())); err != nil || room < 0 {
				return files, v.wrong("bad_form")
			}
			v.sent.Add(part.FormName(), string(text))
			continue
		}
		var kept greentally.Attachment
		err = p.Upload(v.Request, part, func(content []byte) (err error) {
			switch {
			case name == "" && len(content) == 0: // none was chosen
				return nil
			case len(files) == maxFiles:
				return v.wrong("too_many_files")
			}
			kept, err = p.AddAttachment(v.Context(), v.Community.ID, name, content)
			return err
		})
		switch {
		case errors.As(err, new(*http.MaxBytesError)):
			return files, fmt.Errorf("%w: %s: %s", web.ErrBadRequest, name, v.word("file_too_large"))
		case err != nil:
			return files, err
		case kept == (greentally.Attachment{}):
			continue
		}
		files = append(files, kept)
		v.sent.Add("kept", keptText(kept))
	}
}

// keptText is what a form that is shown again has of a file; parseKept reads it. What counts is the
// hash: what else an attachment is, is known where it is kept.
func keptText(a greentally.Attachment) string { return a.SHA256 + " " + a.Name }

func parseKept(text string) (greentally.Attachment, bool) {
	hash, name, ok := strings.Cut(text, " ")
	return greentally.Attachment{SHA256: hash, Name: name}, ok && len(hash) == 64
}

// addRecord keeps what a form says.
func (p *Pages) addRecord(v *view) (string, error) {
	if _, err := p.read(v); err != nil {
		return "", err
	}
	r, err := p.recordOf(v)
	if err != nil {
		return "", err
	}
	added, err := p.AddRecord(v.Context(), r)
	web.About(v.Request, "record", added.ID)
	return v.here("records", added.ID) + "?done=recorded", err
}

// recordOf is the record that a form says.
func (p *Pages) recordOf(v *view) (greentally.Record, error) {
	get := func(name string) string { return strings.TrimSpace(v.sent.Get(name)) }
	t, known := p.recordType(get("type"))
	if !known {
		return greentally.Record{}, greentally.Missingf("没有记录类型 %q", "there is no type %q of records", get("type"))
	}
	r := greentally.Record{Community: v.Community.ID, Type: t.Name, Stream: greentally.Stream(get("stream")), Device: get("device"), Item: get("item"),
		Values: greentally.Values{}, By: get("by"), Why: get("why"), Replaces: get("replaces")}
	var all []error
	note := func(title greentally.Text, word string) {
		all = append(all, fmt.Errorf("%w: %s: %s", web.ErrBadRequest, title.In(v.Language), v.word(word)))
	}
	field := func(name string) greentally.Text { return greentally.Text{ZH: v.words[name][0], EN: v.words[name][1]} }
	var err error
	if r.Date, err = greentally.ParseDate(get("date")); err != nil {
		note(field("date"), "no_date")
	}
	if text := get("until"); text != "" {
		if until, err := greentally.ParseDate(text); err != nil {
			note(field("until"), "no_date")
		} else {
			r.Until = &until
		}
	}
	for name, place := range map[string]**time.Time{"at": &r.At, "end": &r.End} {
		if text := get(name); text != "" {
			if at, err := time.ParseInLocation(clockForm, text, v.Location); err != nil {
				note(field(name), "no_clock")
			} else {
				*place = &at
			}
		}
	}
	number := func(title greentally.Text, name, text string) {
		if text == "" {
			return
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			note(title, "no_number")
			return
		}
		r.Values[name] = value
	}
	for _, value := range t.Values {
		number(value.Title, value.Name, get("value."+value.Name))
	}
	if t.Open {
		for i := range freeValues {
			if name := get(fmt.Sprintf("name.%d", i)); name != "" {
				number(greentally.Text{ZH: name, EN: name}, name, get(fmt.Sprintf("number.%d", i)))
			}
		}
	}
	for _, text := range t.Texts {
		if said := get("text." + text.Name); said != "" {
			if r.Texts == nil {
				r.Texts = map[string]string{}
			}
			r.Texts[text.Name] = said
		}
	}
	for _, text := range v.sent["kept"] {
		if a, ok := parseKept(text); ok {
			r.Attachments = append(r.Attachments, greentally.Attachment{SHA256: a.SHA256})
		}
	}
	return r, errors.Join(all...)
}

// withdrawRecord says that a record should never have been handed in.
func (p *Pages) withdrawRecord(v *view) (string, error) {
	id := v.PathValue("id")
	before, err := p.Record(v.Context(), v.Community.ID, id)
	if err != nil {
		return "", err
	}
	why, by := strings.TrimSpace(v.PostFormValue("why")), strings.TrimSpace(v.PostFormValue("by"))
	if why == "" || by == "" {
		return "", v.wrong("no_reason")
	}
	added, err := p.AddRecord(v.Context(), greentally.Record{Community: v.Community.ID, Type: before.Type, Date: before.Date, Replaces: id, Withdraws: true, By: by, Why: why})
	web.About(v.Request, "record", added.ID)
	return v.here("records", id) + "?done=withdrawn", err
}
