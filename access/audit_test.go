package access_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greentally/access"
)

// TestAudit writes entries at random, some of them hundreds apart, and reads them back page by
// page: as filtering all of them does.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	js, stop := stream(t, dir)
	clock := now
	audit, err := access.OpenAudit(t.Context(), js, 1, func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	people, communities := []string{"root", "李娜", "token:a.b", ""}, []string{"jiayuan", "b*", ">", ""}
	var all []access.Entry
	for i := range 300 {
		e := access.Entry{Who: people[i%7%2], Community: communities[i%5%2], Action: "record.add", What: map[string]string{"record": fmt.Sprint(i)}, Result: access.Done}
		if i%90 == 0 {
			e.Who, e.Community = people[2+i/90%2], communities[2+i/90%2]
		}
		if err := audit.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		e.ID, e.At = uint64(i+1), clock
		all = append(all, e)
		clock = clock.Add(time.Second)
	}
	stop()
	js, _ = stream(t, dir)
	if audit, err = access.OpenAudit(t.Context(), js, 1, func() time.Time { return clock }); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	rapid.Check(t, func(rt *rapid.T) {
		q := access.Query{Who: rapid.SampledFrom(people).Draw(rt, "who"), Community: rapid.SampledFrom(communities).Draw(rt, "community"),
			Limit: rapid.IntRange(1, 120).Draw(rt, "limit"), Before: rapid.OneOf(rapid.Uint64Range(0, 310), rapid.Just(uint64(math.MaxUint64))).Draw(rt, "before")}
		var want []string
		for _, e := range all {
			if (q.Who == "" || e.Who == q.Who) && (q.Community == "" || e.Community == q.Community) && (q.Before == 0 || e.ID < q.Before) {
				want = append(want, fmt.Sprint(e))
			}
		}
		var got []string
		for {
			page, err := audit.Read(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			for _, e := range page {
				got = append(got, fmt.Sprint(e))
			}
			if len(page) == 0 {
				break
			}
			q.Before = page[len(page)-1].ID
			if q.Before == 1 {
				break // before 0 is from the latest
			}
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("%+v: %d entries, want %d\n%v\n%v", q, len(got), len(want), got, want)
		}
	})
}

// TestAuditKeepsShort writes what somebody else chose: it is cut, and nothing in it can be taken
// for another line.
func TestAuditKeepsShort(t *testing.T) {
	js, _ := stream(t, t.TempDir())
	audit, err := access.OpenAudit(t.Context(), js, 1, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if none, err := audit.Read(t.Context(), access.Query{Limit: 5}); err != nil || len(none) != 0 {
		t.Errorf("before the first: %v, %v", none, err)
	}
	what := map[string]string{}
	for i := range 40 {
		what[fmt.Sprint("k", i)] = strings.Repeat("长", 1000)
	}
	if err := audit.Write(t.Context(), access.Entry{Who: strings.Repeat("x", 1_000_000), Action: "a\nb\x1b[31m\xff", Community: "c\u202ed", What: what, Result: access.Failed}); err != nil {
		t.Fatal(err)
	}
	got, err := audit.Read(t.Context(), access.Query{Limit: 5})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if e := got[0]; len(e.Who) > 210 || e.Action != "a b [31m�" || e.Community != "c d" || len(e.What) != 16 || len([]rune(e.What["k0"])) != 200 {
		t.Errorf("kept as %+v", e)
	}
	info, err := js.Stream(t.Context(), "GREENTALLY_AUDIT")
	if err != nil || info.DeleteMsg(t.Context(), 1) == nil || info.Purge(t.Context()) == nil {
		t.Errorf("an entry was deleted: %v", err)
	}
}
