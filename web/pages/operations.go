package pages

import (
	"net/http"
	"strconv"
	"strings"

	"greentally"
	"greentally/web"
)

// strangers are devices that speak and are in no community's file.
type strangers struct {
	Found    []greentally.Discovered // of this community, or of none that their topic tells: a page of them
	Total    int                     // on all pages
	After    string                  // the page begins behind this one
	Next     string                  // and the next one behind this one; empty if there is none
	Kinds    []*greentally.Kind
	Profiles []string
	Streams  []greentally.Stream
}

func (p *Pages) discovered(v *view) (any, error) {
	after := ""
	if v.Method == http.MethodGet {
		after = v.URL.Query().Get("after")
	}
	found, total, err := p.Discovered(v.Context(), web.DiscoveredQuery{Community: v.Community.ID, After: after, Limit: web.DiscoveredShown})
	next := ""
	if len(found) == web.DiscoveredShown {
		next = found[len(found)-1].String()
	}
	return strangers{Found: found, Total: total, After: after, Next: next, Kinds: p.Kinds(), Profiles: p.Profiles(), Streams: greentally.Streams()}, err
}

// adopt enters a device in the community's file.
func (p *Pages) adopt(v *view) (string, error) {
	get := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	v.sent = v.PostForm
	d := greentally.Device{Community: v.Community.ID, ID: get("id"), Kind: get("kind"), Profile: get("profile"), Address: get("address"), Site: get("site"), Stream: greentally.Stream(get("stream")),
		Name: greentally.Text{ZH: get("name"), EN: get("name")}}
	if d.Address == d.ID {
		d.Address = ""
	}
	if text := get("interval"); text != "" {
		if err := d.Interval.UnmarshalText([]byte(text)); err != nil {
			return "", v.wrong("no_time")
		}
	}
	web.About(v.Request, "device", d.ID)
	return v.here("devices", d.ID) + "?done=adopted", p.Adopt(v.Context(), d)
}

// lettersShown is how many dead letters stand on a page.
const lettersShown = 50

// letters are dead letters from a place on.
type letters struct {
	Letters []greentally.DeadLetter
	After   uint64
	Size    int
}

func (p *Pages) deadLetters(v *view) (any, error) {
	page := letters{Size: lettersShown}
	if text := v.URL.Query().Get("after"); text != "" {
		var err error
		if page.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, web.Refusedf("%q 不是死信的编号", "after: %q is not the ID of a dead letter", text)
		}
	}
	var err error
	page.Letters, err = p.DeadLetters(v.Context(), page.After, lettersShown)
	return page, err
}

// letter is the ID that the path names.
func (v *view) letter() (uint64, error) {
	id, err := strconv.ParseUint(v.PathValue("id"), 10, 64)
	if err != nil {
		return 0, greentally.Missingf("没有死信 %q", "there is no dead letter %q", v.PathValue("id"))
	}
	return id, nil
}

func (p *Pages) replay(v *view) (string, error) {
	id, err := v.letter()
	if err == nil {
		err = p.ReplayDeadLetter(v.Context(), id)
	}
	return "/deadletters?done=replayed", err
}

func (p *Pages) remove(v *view) (string, error) {
	id, err := v.letter()
	if err == nil {
		err = p.DeleteDeadLetter(v.Context(), id)
	}
	return "/deadletters?done=deleted", err
}
