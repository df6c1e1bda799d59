package ingest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"greentally"
	"greentally/ingest"
)

// identified takes topics of community and device.
func identified(m greentally.Message) (greentally.Discovered, bool) {
	community, device, ok := strings.Cut(m.Topic, "/")
	return greentally.Discovered{DeviceKey: greentally.DeviceKey{Community: community, Device: device}, Profile: "native"}, ok
}

func openDiscoveries(t *testing.T, js jetstream.JetStream) *ingest.Discoveries {
	t.Helper()
	d, err := ingest.OpenDiscoveries(t.Context(), js, 1, identified)
	if err != nil {
		t.Fatal(err)
	}
	d.Known = func(community string) bool { return community == "honest" || community == "flooded" }
	return d
}

// count returns how many devices there are of communities that begin so.
func count(t *testing.T, d *ingest.Discoveries, prefix string) int {
	t.Helper()
	_, total, err := d.List(t.Context(), ingest.DiscoveredQuery{Of: func(c string) bool { return strings.HasPrefix(c, prefix) }, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestFloodOfDevices invents devices, over restarts: what is remembered has a bound, those of other
// communities stay, and so does one that speaks again and again; a new one is found in the midst of it.
func TestFloodOfDevices(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	d := openDiscoveries(t, js)
	clock := noon
	say := func(topic string) {
		t.Helper()
		if err := d.Note(t.Context(), greentally.Message{Topic: topic, Payload: []byte("{}"), Received: clock}); err != nil {
			t.Fatal(err)
		}
	}
	invented := 0
	flood := func(n int) {
		for range n {
			invented++
			say(fmt.Sprintf("flooded/invented-%06d", invented))
			say(fmt.Sprintf("made-up-%d/x", invented))
		}
	}
	has := func(community, device string) bool {
		t.Helper()
		all, _, err := d.List(t.Context(), ingest.DiscoveredQuery{Of: func(c string) bool { return c == community }, Device: device, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1
	}
	say("honest/bin-1") // once only
	say("flooded/bin-1")
	flood(10)
	clock = clock.Add(10 * time.Minute)
	say("flooded/bin-1")
	for range 3 {
		flood(2_500)
		d = openDiscoveries(t, js)
		clock = clock.Add(10 * time.Minute)
	}
	if f, m, h := count(t, d, "flooded"), count(t, d, "made-up-"), count(t, d, "honest"); f != 2000 || m != 2000 || h != 1 {
		t.Errorf("%d of the flooded community are remembered, %d of communities that nobody knows, and %d of the honest one; want 2000, 2000, 1", f, m, h)
	}
	say("flooded/bin-2")
	flood(500)
	clock = clock.Add(10 * time.Minute)
	say("flooded/bin-2")
	flood(500)
	say("honest/bin-2")
	for _, device := range [][2]string{{"flooded", "bin-1"}, {"flooded", "bin-2"}, {"honest", "bin-1"}, {"honest", "bin-2"}} {
		if !has(device[0], device[1]) {
			t.Errorf("%v is not found in the flood", device)
		}
	}
	if has("flooded", fmt.Sprintf("invented-%06d", invented)) {
		t.Error("one that was invented took the place of another by being heard once")
	}
	if f := count(t, d, "flooded"); f != 2000 {
		t.Errorf("%d of the flooded community are remembered", f)
	}
	stream, err := js.Stream(t.Context(), "KV_GREENTALLY_DISCOVERED")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != 4002 {
		t.Errorf("the bucket has %+v, %v; want one entry of each device", info.State, err)
	}
}

// TestTooManyFromBefore opens a memory that has more devices than it may: one by one they leave.
func TestTooManyFromBefore(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	d := openDiscoveries(t, js)
	d.Known = nil
	for i := range 2_020 {
		if i == 2_000 {
			d.Known = func(string) bool { return true }
		}
		community := "flooded"
		if i >= 1_990 {
			community = fmt.Sprint("c", i)
		}
		if err := d.Note(t.Context(), greentally.Message{Topic: fmt.Sprintf("%s/d%d", community, i), Received: noon.Add(time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	d = openDiscoveries(t, js)
	d.Known = func(string) bool { return false } // all are of one group now
	for i := range 2 {
		if err := d.Note(t.Context(), greentally.Message{Topic: "flooded/new", Received: noon.Add(time.Duration(i) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, d, ""); n != 2_011 {
		t.Errorf("%d are remembered; want ten to have left for the one that came", n)
	}
}

// TestPagesOfDiscovered lists devices page by page.
func TestPagesOfDiscovered(t *testing.T) {
	js, _ := newJetStream(t, t.TempDir())
	d := openDiscoveries(t, js)
	for _, topic := range []string{"b/2", "a/1", "c/x", "b/1", "b/3", "a/2"} {
		if err := d.Note(t.Context(), greentally.Message{Topic: topic, Received: noon}); err != nil {
			t.Fatal(err)
		}
	}
	var pages []string
	after := ""
	for {
		page, total, err := d.List(t.Context(), ingest.DiscoveredQuery{Of: func(c string) bool { return c != "c" }, After: after, Limit: 2})
		if err != nil || total != 5 {
			t.Fatal(total, err)
		}
		if len(page) == 0 {
			break
		}
		line := ""
		for _, found := range page {
			line += found.String() + " "
			after = found.String()
		}
		pages = append(pages, line)
	}
	if want := []string{"a/1 a/2 ", "b/1 b/2 ", "b/3 "}; !slices.Equal(pages, want) {
		t.Errorf("pages %q, want %q", pages, want)
	}
}
