package devices

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// topicPattern is a topic with places for the community and the device:
// greentally/v1/{community}/{device}/readings. As in MQTT, + stands for any one
// level, and # as the last level for any number of them.
type topicPattern struct {
	text   string
	levels []string
}

const (
	communityLevel = "{community}"
	deviceLevel    = "{device}"
)

func parseTopic(text string) (topicPattern, error) {
	t := topicPattern{text, strings.Split(text, "/")}
	count := map[string]int{}
	for i, level := range t.levels {
		count[level]++
		switch {
		case level == communityLevel || level == deviceLevel || level == "+":
		case level == "#":
			if i != len(t.levels)-1 {
				return t, errors.New("# can only be the last level")
			}
		case strings.ContainsAny(level, "{}+#\x00"):
			return t, fmt.Errorf("level %q: want plain text, {community}, {device}, + or #", level)
		case level == "" && i > 0:
			return t, errors.New("it has an empty level")
		}
	}
	switch {
	case strings.HasPrefix(text, "$"):
		return t, errors.New("topics that begin with $ are the broker's own")
	case count[deviceLevel] != 1:
		return t, errors.New("want {device} once: the device's address, which is its id if it has none")
	case count[communityLevel] > 1:
		return t, errors.New("{community} can be there only once")
	}
	return t, nil
}

// match takes the community and the device's address out of a topic. The community
// is empty if the pattern does not tell it.
func (t topicPattern) match(topic string) (community, address string, ok bool) {
	rest, more := topic, true
	for _, level := range t.levels {
		if level == "#" {
			return community, address, true
		}
		if !more {
			return "", "", false
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		switch level {
		case communityLevel:
			community = part
		case deviceLevel:
			address = part
		case "+":
		default:
			if part != level {
				return "", "", false
			}
		}
	}
	return community, address, !more
}

// tellsCommunity reports whether topics of this pattern name the community.
func (t topicPattern) tellsCommunity() bool { return slices.Contains(t.levels, communityLevel) }

// filter returns the MQTT topic filter that takes in all topics of the pattern.
func (t topicPattern) filter() string {
	return strings.NewReplacer(communityLevel, "+", deviceLevel, "+").Replace(t.text)
}

// example returns a topic of the pattern.
func (t topicPattern) example(community, address string) string {
	return strings.NewReplacer(communityLevel, community, deviceLevel, address, "+", "x", "#", "x").Replace(t.text)
}

// compareTopics puts the pattern that says more first: one with fewer wildcards.
func compareTopics(a, b topicPattern) int {
	wild := func(t topicPattern) int { return strings.Count(t.text, "+") + 100*strings.Count(t.text, "#") }
	if d := wild(a) - wild(b); d != 0 {
		return d
	}
	return strings.Compare(a.text, b.text)
}
