package schemes

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"greentally"
)

// Evidence is what a community's month is held against the schemes with.
type Evidence struct {
	Community  *greentally.Community
	Month      greentally.Month
	Indicators []greentally.IndicatorValue // of the month; others are left out

	// Records are those of the community; the ones count that speak of a day of the month
	// and that none replaces.
	Records []greentally.Record
}

// Assess assesses the community by all schemes, sorted by name.
func (s *Set) Assess(e Evidence) ([]greentally.Assessment, error) {
	g, err := gather(e)
	if err != nil {
		return nil, err
	}
	all := make([]greentally.Assessment, 0, len(s.schemes))
	for _, c := range s.schemes {
		a, err := c.assess(g)
		if err != nil {
			return nil, fmt.Errorf("scheme %s for %s in %s: %w", c.Name, e.Community.ID, e.Month, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// gathered is evidence, arranged.
type gathered struct {
	Evidence
	indicators map[string]*greentally.IndicatorValue
	records    map[string][]*greentally.Record // by item, the one that counts last
}

func gather(e Evidence) (*gathered, error) {
	g := &gathered{Evidence: e, indicators: map[string]*greentally.IndicatorValue{}, records: map[string][]*greentally.Record{}}
	for i := range e.Indicators {
		v := &e.Indicators[i]
		if v.Community != e.Community.ID || v.Month != e.Month {
			continue
		}
		if g.indicators[v.Indicator] != nil {
			return nil, fmt.Errorf("assess %s in %s: the indicator %s is there twice", e.Community.ID, e.Month, v.Indicator)
		}
		g.indicators[v.Indicator] = v
	}
	records := greentally.InForce(e.Records)
	for i := range records {
		r := &records[i]
		if r.Community == e.Community.ID && !e.Month.Last().Before(r.Date) && !r.Last().Before(e.Month.First()) {
			g.records[r.Item] = append(g.records[r.Item], r)
		}
	}
	for _, list := range g.records {
		slices.SortFunc(list, func(a, b *greentally.Record) int {
			return cmp.Or(cmp.Compare(a.Date.String(), b.Date.String()), a.Recorded.Compare(b.Recorded), cmp.Compare(a.ID, b.ID))
		})
	}
	return g, nil
}

// known are the values that a scheme's expressions can be evaluated with.
type known struct {
	values     map[string]float64 // by what expressions call it
	env        map[string]any
	why        map[string]greentally.Text // why what is there does not count
	indicators map[string]*greentally.IndicatorValue
}

// missing says why there is no value of what an expression refers to.
func (k *known) missing(ref string) greentally.Text {
	why, ok := k.why[ref]
	if !ok {
		why = greentally.Text{ZH: "本月没有数值", EN: "there is no value for the month"}
	}
	return greentally.Textf("%s：%s", "%s: %s", k.title(ref), why)
}

// title returns what is called so in expressions.
func (k *known) title(ref string) greentally.Text {
	switch v := k.indicators[ref]; {
	case ref == households:
		return greentally.Text{ZH: "户数", EN: "households"}
	case ref == population:
		return greentally.Text{ZH: "人口", EN: "population"}
	case v != nil && v.Title != (greentally.Text{}):
		return v.Title
	}
	return greentally.Text{ZH: ref, EN: ref}
}

// shown writes the value of what is called so in expressions.
func (k *known) shown(ref string) string {
	if v := k.indicators[ref]; v != nil && v.Unit == "ratio" {
		return greentally.Percent(*v.Value)
	}
	return strconv.FormatFloat(math.Round(1e4*k.values[ref])/1e4, 'f', -1, 64)
}

// known returns what counts for the scheme.
func (c *scheme) known(g *gathered) *known {
	k := &known{values: map[string]float64{}, env: map[string]any{}, why: map[string]greentally.Text{}, indicators: g.indicators}
	for name, v := range g.indicators {
		switch {
		case v.Value == nil || math.IsNaN(*v.Value) || math.IsInf(*v.Value, 0):
			k.why[name] = cmp.Or(v.Reason, greentally.Text{ZH: "无法计算", EN: "it could not be computed"})
		case v.Completeness < c.Completeness:
			k.why[name] = greentally.Textf("完整度 %s，低于本标准要求的 %s", "completeness %s is below the %s of this scheme", greentally.Percent(v.Completeness), greentally.Percent(c.Completeness))
		case v.Verdict == greentally.InsufficientData:
			k.why[name] = cmp.Or(v.Reason, greentally.Text{ZH: "数据不足", EN: "the data do not suffice"})
		case v.EstimatedShare > 0 && c.EstimatedMass == forbidden:
			k.why[name] = greentally.Textf("%s 的质量由满溢度估算，而本标准要求称重", "%s of its mass was estimated from filling levels, and this scheme wants it weighed", greentally.Percent(v.EstimatedShare))
		default:
			k.values[name] = *v.Value
			k.env[name] = *v.Value
		}
	}
	facts := communityEnv{float64(g.Community.Households), float64(g.Community.Population)}
	k.env["community"] = facts
	for ref, value := range map[string]float64{households: facts.Households, population: facts.Population} {
		if value > 0 {
			k.values[ref] = value
		} else {
			k.why[ref] = greentally.Text{ZH: "社区档案没有填写", EN: "the community's file does not say"}
		}
	}
	return k
}

// assess assesses by one scheme.
func (c *scheme) assess(g *gathered) (greentally.Assessment, error) {
	a := greentally.Assessment{
		Community: g.Community.ID, Month: g.Month, Scheme: c.Name, Title: c.Title, Source: c.Source, Note: c.Note, Effective: c.Effective,
		Complete: c.Complete, Verified: c.allVerified(), Items: []greentally.ItemResult{},
	}
	if !c.Effective.Has(g.Month) {
		a.Verdict = greentally.NoTarget
		a.Reason = greentally.Textf("本标准的施行期%s，不含 %s", "the scheme is in effect %s, so not in %s", c.Effective.Text(), g.Month)
		return a, nil
	}
	a.Total = c.Total
	k := c.known(g)
	var unknown []string
	for i := range c.items {
		item := &c.items[i]
		r, err := item.score(c.Name+"/"+item.ID, g, k)
		if err != nil {
			return a, fmt.Errorf("item %s: %w", item.ID, err)
		}
		switch {
		case r.Verdict == greentally.InsufficientData:
			unknown = append(unknown, item.ID)
			if item.Rule == Veto || item.Rule == Basic {
				a.Open = append(a.Open, item.ID)
			}
		case r.Verdict == greentally.Fail && (item.Rule == Veto || item.Rule == Basic):
			a.Barred = append(a.Barred, item.ID)
		}
		a.AtLeast += r.AtLeast
		a.AtMost += r.AtMost
		a.Items = append(a.Items, r)
	}
	for i, part := range c.parts {
		p, err := part.assess(g)
		if err != nil {
			return a, fmt.Errorf("part %s: %w", part.Name, err)
		}
		r := greentally.PartResult{Scheme: part.Name, Weight: c.Parts[i].Weight, AtMost: c.Parts[i].Weight}
		if p.Total > 0 {
			r.AtLeast, r.AtMost = tidy(r.Weight*p.AtLeast/p.Total), tidy(r.Weight*p.AtMost/p.Total)
		}
		if r.AtLeast < r.AtMost {
			unknown = append(unknown, part.Name)
		}
		a.AtLeast += r.AtLeast
		a.AtMost += r.AtMost
		a.Parts = append(a.Parts, r)
		a.Complete = a.Complete && p.Complete
		for _, id := range p.Barred {
			a.Barred = append(a.Barred, part.Name+"/"+id)
		}
		for _, id := range p.Open {
			a.Open = append(a.Open, part.Name+"/"+id)
		}
	}
	absent := c.absent()
	a.AtLeast, a.AtMost = tidy(a.AtLeast), tidy(a.AtMost+absent)
	if err := c.conclude(&a, k, unknown); err != nil {
		return a, err
	}
	return a, nil
}

// allVerified reports whether all that the scheme and its parts say was read in the
// document.
func (c *scheme) allVerified() bool {
	return c.Verified && !slices.ContainsFunc(c.Items, func(i Item) bool { return !*i.Verified }) &&
		!slices.ContainsFunc(c.parts, func(part *scheme) bool { return !part.allVerified() })
}

// absent returns the points of the items that the file does not have.
func (c *scheme) absent() float64 {
	points := c.Total
	for i := range c.Items {
		points -= c.Items[i].Points
	}
	for _, p := range c.Parts {
		points -= p.Weight
	}
	return tidy(points)
}

// conclude sets level, verdict and reason.
func (c *scheme) conclude(a *greentally.Assessment, k *known, unknown []string) error {
	var doubts []greentally.Text
	switch n := len(unknown); {
	case n > mostNamed:
		doubts = append(doubts, greentally.Textf("%d 个条目证据不足", "the evidence does not suffice for %d items", n))
	case n > 0:
		doubts = append(doubts, greentally.Textf("以下条目证据不足：%s", "the evidence does not suffice for %s", c.titles(unknown)))
	}
	if !a.Complete {
		doubts = append(doubts, greentally.Text{ZH: "未收录原文的全部条目", EN: "not all items of the document are in the scheme's file"})
	}
	if len(a.Barred) > 0 {
		a.Verdict = greentally.Fail
		a.Reason = greentally.Textf("未满足：%s", "not met: %s", c.titles(a.Barred))
		return nil
	}
	certain := len(a.Open) == 0 && a.Complete // no condition can still bar
	if len(c.Levels) == 0 {
		switch {
		case !certain || a.AtLeast < a.AtMost:
			a.Verdict, a.Reason = greentally.InsufficientData, because(doubts)
		case a.Total > 0:
			a.Verdict, a.Reason = greentally.NoTarget, greentally.Text{ZH: "本标准只计分，不分等级", EN: "the scheme has points and no levels"}
		default:
			a.Verdict = greentally.Pass
		}
		return nil
	}
	worst := -1
	if certain {
		at, missing, err := c.level(a.AtLeast, false, k)
		if err != nil {
			return err
		}
		worst, doubts = at, append(doubts, missing...)
	}
	best, missing, err := c.level(a.AtMost, true, k)
	if err != nil {
		return err
	}
	doubt := cmp.Or(because(slices.Compact(append(doubts, missing...))), greentally.Text{ZH: "得分尚不能确定", EN: "the points are not known exactly"})
	passes := func(at int) bool { return at >= 0 && c.Levels[at].Pass }
	anyPass := slices.ContainsFunc(c.Levels, func(l Level) bool { return l.Pass })
	if worst == best && best >= 0 {
		a.Level, a.LevelTitle = c.Levels[best].ID, c.Levels[best].Title
	}
	switch {
	case worst != best && (!anyPass || passes(worst) != passes(best)):
		a.Verdict, a.Reason = greentally.InsufficientData, doubt
	case !anyPass:
		a.Verdict, a.Reason = greentally.NoTarget, greentally.Text{ZH: "本标准没有表示达标的等级", EN: "none of the scheme's levels counts as pass"}
	case passes(best):
		a.Verdict = greentally.Pass
	default:
		a.Verdict = greentally.Fail
	}
	if worst != best && a.Reason == (greentally.Text{}) {
		a.Reason = greentally.Textf("等级尚不能确定：%s", "the level is not known: %s", doubt)
	}
	return nil
}

// mostNamed is of how many items without evidence each is named.
const mostNamed = 4

// titles returns what the items and parts of the scheme are called.
func (c *scheme) titles(ids []string) greentally.Text {
	var all []greentally.Text
	for _, id := range ids {
		all = append(all, greentally.Textf("“%s”", "“%s”", c.titleOf(id)))
	}
	return greentally.JoinTexts(all, "、", ", ")
}

func (c *scheme) titleOf(id string) greentally.Text {
	if i := slices.IndexFunc(c.Items, func(i Item) bool { return i.ID == id }); i >= 0 {
		return c.Items[i].Title
	}
	of, rest, _ := strings.Cut(id, "/")
	i := slices.IndexFunc(c.parts, func(part *scheme) bool { return part.Name == of })
	if rest == "" {
		return c.parts[i].Title
	}
	return c.parts[i].titleOf(rest)
}

// because joins reasons.
func because(reasons []greentally.Text) greentally.Text {
	return greentally.JoinTexts(reasons, "；", "; ")
}

// level returns the position of the level that the points reach, −1 if none. What is
// missing for a level's condition is taken to be as it is hoped.
func (c *scheme) level(points float64, hope bool, k *known) (at int, missing []greentally.Text, err error) {
	for i := range c.Levels {
		if !c.Levels[i].reached(points) {
			continue
		}
		holds := true
		if e := c.levels[i]; e != nil {
			value, why, err := e.run(k)
			if err != nil {
				return 0, nil, fmt.Errorf("level %s: %w", c.Levels[i].ID, err)
			}
			if value == nil {
				holds = hope
				missing = append(missing, why...)
			} else {
				holds = value.(bool)
			}
		}
		if holds {
			return i, missing, nil
		}
	}
	return -1, missing, nil
}

// score scores the item, which records call so.
func (i *compiled) score(name string, g *gathered, k *known) (greentally.ItemResult, error) {
	r := greentally.ItemResult{
		Item: i.ID, Title: i.Title, Group: i.Group, Rule: i.Rule, Verified: *i.Verified,
		AtMost: i.Points, Points: i.Points, Indicators: i.Indicators,
	}
	for _, indicator := range i.Indicators {
		if v := g.indicators[indicator]; v != nil {
			r.EstimatedShare = max(r.EstimatedShare, v.EstimatedShare)
		}
	}
	s := &scoring{item: i, name: name, g: g, known: k, result: &r}
	var err error
	switch i.Rule {
	case AllOrNothing, Veto, Basic:
		err = s.conditions()
	case Deduction:
		err = s.deduct()
	case Tiers:
		err = s.tier()
	case Judged:
		s.judged()
	}
	r.AtLeast, r.AtMost = tidy(r.AtLeast), tidy(r.AtMost)
	return r, err
}

// scoring is one item being scored. Its result begins with nothing known.
type scoring struct {
	item   *compiled
	name   string // by which records call the item
	g      *gathered
	known  *known
	result *greentally.ItemResult
}

func (s *scoring) say(zh, en string, args ...any) {
	s.result.Reasons = append(s.result.Reasons, greentally.Textf(zh, en, args...))
}

// settle sets the points that are certain and the points that are possible.
func (s *scoring) settle(atLeast, atMost float64) {
	s.result.AtLeast, s.result.AtMost = atLeast, atMost
	switch points := s.item.Points; {
	case atLeast < atMost:
		s.result.Verdict = greentally.InsufficientData
	case atLeast >= points:
		s.result.Verdict = greentally.Pass
	default:
		s.result.Verdict = greentally.Fail
	}
}

// record returns the record that attests the item: the latest of the types that can. nil
// with a reason if there is none, or if it does not say what a record of the item must.
func (s *scoring) record() *greentally.Record {
	list := slices.Clone(s.g.records[s.name])
	list = slices.DeleteFunc(list, func(r *greentally.Record) bool { return !slices.Contains(s.item.Evidence, r.Type) })
	if len(list) == 0 {
		s.say("%[3]s 没有记录：%[1]s，条目 %[2]s", "no record in %[3]s: %[1]s, item %[2]s", greentally.JoinTexts(s.item.types, "或", " or "), s.name, s.g.Month)
		return nil
	}
	r := list[len(list)-1]
	s.result.Records = []string{r.ID}
	if wrong := s.item.doubts(r.Values); len(wrong) > 0 {
		s.say("记录 %s %s；请更正", "record %s %s; replace it", r.ID, greentally.JoinTexts(wrong, "，且", ", and "))
		return nil
	}
	return r
}

// conditions scores an item that is met or not: each of its condition and its record
// must say so.
func (s *scoring) conditions() error {
	holds, open := true, false
	if s.item.when != nil {
		value, missing, err := s.item.when.run(s.known)
		switch {
		case err != nil:
			return err
		case value == nil:
			open = true
			s.result.Reasons = append(s.result.Reasons, missing...)
		case !value.(bool):
			holds = false
			s.say("未满足：%s", "not met: %s", s.item.when.shown(s.known))
		}
	}
	if len(s.item.Evidence) > 0 {
		switch r := s.record(); {
		case r == nil:
			open = true
		case r.Values[greentally.Met] == 0:
			holds = false
			s.say("记录 %s 认定未满足", "not met by record %s", r.ID)
		}
	}
	switch {
	case !holds:
		s.result.AtLeast, s.result.AtMost, s.result.Verdict = 0, 0, greentally.Fail
	case open:
		s.result.AtLeast, s.result.AtMost, s.result.Verdict = 0, s.item.Points, greentally.InsufficientData
	default:
		s.result.AtLeast, s.result.AtMost, s.result.Verdict = s.item.Points, s.item.Points, greentally.Pass
	}
	return nil
}

// deduct takes off the points of the faults that are there. A fault is there if its
// condition or the record says so. It is not there if its condition says so, or if the
// record does: a fault without a condition that the record does not name was not found.
func (s *scoring) deduct() error {
	var record *greentally.Record
	if len(s.item.Evidence) > 0 {
		record = s.record()
	}
	var certain, possible float64
	for i, when := range s.item.faults {
		f := &s.item.Faults[i]
		is, known := 0.0, false
		if when != nil {
			value, missing, err := when.run(s.known)
			switch {
			case err != nil:
				return err
			case value == nil && (record == nil || !has(record.Values, f.ID)):
				s.result.Reasons = append(s.result.Reasons, missing...)
			case value == nil:
			case value.(bool):
				is, known = 1, true
				s.say("%s：扣 %v 分，因%s", "%s: −%v, because %s", f.Title, f.Points, when.shown(s.known))
			default:
				known = true
			}
		}
		if record != nil && (when == nil || has(record.Values, f.ID)) {
			if n := record.Values[f.ID]; n > is {
				is = n
				s.say("%s：扣 %v 分（记录 %s）", "%s: −%v by record %s", f.Title, tidy(f.cost(n)), record.ID)
			}
			known = true
		}
		certain += f.cost(is)
		if known {
			possible += f.cost(is)
		} else {
			possible += f.worst(s.item.Points)
		}
	}
	s.settle(max(0, tidy(s.item.Points-possible)), max(0, tidy(s.item.Points-certain)))
	return nil
}

// cost returns what the fault costs if it was found n times.
func (f *Fault) cost(n float64) float64 {
	cost := f.Points * n
	if f.Most > 0 {
		cost = min(cost, f.Most)
	}
	return cost
}

// tier gives the points of the first tier that the number reaches, and none below.
func (s *scoring) tier() error {
	value, missing, err := s.item.of.run(s.known)
	if err != nil {
		return err
	}
	if value == nil {
		s.result.Reasons = append(s.result.Reasons, missing...)
		s.settle(0, s.item.Points)
		return nil
	}
	number := value.(float64)
	for _, t := range s.item.Tiers {
		if bound, sign := t.bound(); number*sign >= bound*sign {
			s.settle(t.Points, t.Points)
			s.say("%s：得 %v 分", "%s: %v points", s.item.of.shown(s.known), t.Points)
			return nil
		}
	}
	s.settle(0, 0)
	s.say("%s：未达到任何一档", "%s: below all tiers", s.item.of.shown(s.known))
	return nil
}

// judged takes the points that a person gave.
func (s *scoring) judged() {
	r := s.record()
	if r == nil {
		s.settle(0, s.item.Points)
		return
	}
	points := r.Values[greentally.Points]
	s.settle(points, points)
	s.say("%v 分（记录 %s）", "%v points by record %s", tidy(points), r.ID)
}
