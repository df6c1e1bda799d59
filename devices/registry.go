package devices

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"greentally"
	"greentally/internal/strictyaml"
)

// Options say what a registry is made of.
type Options struct {
	Kinds       []strictyaml.Folder // besides those that are shipped
	Profiles    []strictyaml.Folder // besides those that are shipped
	Communities strictyaml.Folder   // one file for each community; one without FS has none
	Limits      Limits
}

// Registry knows kinds, profiles, communities and their devices, and decodes
// messages. It never changes, and what it returns must not be changed; it is safe
// for concurrent use.
type Registry struct {
	kinds    map[string]*kind
	profiles map[string]*profile
	limits   Limits
	units    units

	communities []*community // by id
	devices     map[greentally.DeviceKey]*greentally.Device
	patterns    []*pattern // those that say most first
	scratch     *sync.Pool
}

// community is a community and where it stands.
type community struct {
	*greentally.Community
	location *time.Location
	file     string
}

// pattern is a topic pattern and the devices that publish under it.
type pattern struct {
	topicPattern
	forms  []*patternForm // of all profiles that have the pattern, native first
	routes map[greentally.DeviceKey]*route
}

type patternForm struct {
	*form
	profile *profile
}

// route is what a message of one device and one form is decoded by. In the map of
// its pattern the device goes by its address, and the community is empty if the
// pattern does not tell it.
type route struct {
	device *greentally.Device
	kind   *kind
	form   *form
	facts  map[string]any
}

// nativeProfile is the profile of devices whose entry names none.
const nativeProfile = "native"

// Load reads kinds, profiles and communities. Its error joins everything that is
// wrong with any of the files, each with file and line.
func Load(o Options) (*Registry, error) {
	definitions, complete, errs := loadDefinitions(o)
	if o.Communities.FS == nil {
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		return definitions.with(nil), nil
	}
	communities, more := definitions.loadCommunities(o.Communities, complete)
	if err := errors.Join(append(errs, more...)...); err != nil {
		return nil, err
	}
	return definitions.with(communities), nil
}

// loadDefinitions returns a registry without communities. It is complete if nothing
// is missing from it because a file could not be read.
func loadDefinitions(o Options) (r *Registry, complete bool, errs []error) {
	r = &Registry{limits: o.Limits.withDefaults(), units: newUnits()}
	kinds, kindsComplete, errs := loadKinds(append([]strictyaml.Folder{Kinds()}, o.Kinds...), r.units)
	profiles, profilesComplete, more := loadProfiles(append([]strictyaml.Folder{Catalog()}, o.Profiles...), kinds, kindsComplete)
	r.kinds, r.profiles = kinds, profiles
	return r, kindsComplete && profilesComplete, append(errs, more...)
}

// with returns a registry of the same kinds and profiles with these communities.
func (r *Registry) with(communities []*community) *Registry {
	made := &Registry{
		kinds: r.kinds, profiles: r.profiles, limits: r.limits, units: r.units,
		communities: communities, devices: map[greentally.DeviceKey]*greentally.Device{},
		scratch: &sync.Pool{New: newScratch},
	}
	byTopic := map[string]*pattern{}
	for _, p := range made.sortedProfiles() {
		for _, f := range p.forms {
			at := byTopic[f.Topic]
			if at == nil {
				at = &pattern{topicPattern: f.pattern, routes: map[greentally.DeviceKey]*route{}}
				byTopic[f.Topic] = at
				made.patterns = append(made.patterns, at)
			}
			at.forms = append(at.forms, &patternForm{f, p})
		}
	}
	slices.SortFunc(made.patterns, func(a, b *pattern) int { return compareTopics(a.topicPattern, b.topicPattern) })
	for _, c := range communities {
		for _, d := range c.Devices {
			made.devices[d.Key()] = d
			facts := map[string]any{}
			for name, v := range d.Facts {
				facts[name] = v
			}
			for _, f := range made.profiles[d.Profile].forms {
				at := byTopic[f.Topic]
				at.routes[at.routeKey(d)] = &route{device: d, kind: made.kinds[d.Kind], form: f, facts: facts}
			}
		}
	}
	return made
}

// routeKey is the device's key in a map of routes of the pattern.
func (t topicPattern) routeKey(d *greentally.Device) greentally.DeviceKey {
	key := greentally.DeviceKey{Device: address(d)}
	if t.tellsCommunity() {
		key.Community = d.Community
	}
	return key
}

// address is what a device calls itself in topics.
func address(d *greentally.Device) string { return cmp.Or(d.Address, d.ID) }

// sortedProfiles returns the profiles by name, native first.
func (r *Registry) sortedProfiles() []*profile {
	return slices.SortedFunc(maps.Values(r.profiles), func(a, b *profile) int {
		if (a.Name == nativeProfile) != (b.Name == nativeProfile) {
			if a.Name == nativeProfile {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
}

// route finds out which device a message is from, and how to decode it.
func (r *Registry) route(topic string) (*route, *greentally.Rejection) {
	var missed *pattern
	var key greentally.DeviceKey
	for _, p := range r.patterns {
		community, address, ok := p.match(topic)
		if !ok {
			continue
		}
		k := greentally.DeviceKey{Community: community, Device: address}
		if found := p.routes[k]; found != nil {
			return found, nil
		}
		if missed == nil {
			missed, key = p, k
		}
	}
	if missed == nil {
		return nil, greentally.Reject(greentally.UnknownTopic, "no profile has a topic like %s", shorten(topic))
	}
	if d := r.addressed(key); d != nil {
		return nil, greentally.Reject(greentally.UnknownTopic, "device %s has profile %s, which does not have this topic; %s has", d.Key(), d.Profile, missed.forms[0].profile.Name)
	}
	if key.Community == "" {
		return nil, greentally.Reject(greentally.UnknownDevice, "no device has profile %s and address %s", missed.forms[0].profile.Name, shorten(key.Device))
	}
	if _, ok := r.Community(key.Community); !ok {
		return nil, greentally.Reject(greentally.UnknownDevice, "there is no community %s", shorten(key.Community))
	}
	return nil, greentally.Reject(greentally.UnknownDevice, "community %s has no device %s", key.Community, shorten(key.Device))
}

// addressed returns the device of that community and address, if there is one.
func (r *Registry) addressed(key greentally.DeviceKey) *greentally.Device {
	if c, ok := r.Community(key.Community); ok {
		for _, d := range c.Devices {
			if address(d) == key.Device {
				return d
			}
		}
	}
	return nil
}

// Communities returns all communities, by id.
func (r *Registry) Communities() []*greentally.Community {
	all := make([]*greentally.Community, len(r.communities))
	for i, c := range r.communities {
		all[i] = c.Community
	}
	return all
}

func (r *Registry) community(id string) *community {
	i, ok := slices.BinarySearchFunc(r.communities, id, func(c *community, id string) int { return strings.Compare(c.ID, id) })
	if !ok {
		return nil
	}
	return r.communities[i]
}

// Community returns the community of that id.
func (r *Registry) Community(id string) (*greentally.Community, bool) {
	if c := r.community(id); c != nil {
		return c.Community, true
	}
	return nil, false
}

// Location returns the time zone of the community of that id.
func (r *Registry) Location(id string) (*time.Location, bool) {
	if c := r.community(id); c != nil {
		return c.location, true
	}
	return nil, false
}

// Device returns the device of that key.
func (r *Registry) Device(key greentally.DeviceKey) (*greentally.Device, bool) {
	d, ok := r.devices[key]
	return d, ok
}

// Kind returns the kind of that name, with the state connection that every kind has.
func (r *Registry) Kind(name string) (*greentally.Kind, bool) {
	if k := r.kinds[name]; k != nil {
		return &k.Kind, true
	}
	return nil, false
}

// Kinds returns all kinds, by name.
func (r *Registry) Kinds() []*greentally.Kind {
	var all []*greentally.Kind
	for _, k := range sortedKinds(r.kinds) {
		all = append(all, &k.Kind)
	}
	return all
}

// Profiles returns all profiles, by name, native first.
func (r *Registry) Profiles() []*Profile {
	var all []*Profile
	for _, p := range r.sortedProfiles() {
		all = append(all, &p.Profile)
	}
	return all
}

// Filters returns the MQTT topic filters that take in the topics of all profiles.
func (r *Registry) Filters() []string {
	var all []string
	for _, p := range r.patterns {
		all = append(all, p.filter())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// duplicateRoutes reports devices that cannot be told apart by their topics.
func (r *Registry) duplicateRoutes(communities []*community, wrong func(d *greentally.Device, format string, args ...any)) {
	type place struct {
		topic string
		key   greentally.DeviceKey
	}
	taken := map[place]*greentally.Device{}
	for _, c := range communities {
		for _, d := range c.Devices {
			p := r.profiles[d.Profile]
			if p == nil {
				continue
			}
			for _, f := range p.forms {
				at := place{f.Topic, f.pattern.routeKey(d)}
				if before := taken[at]; before != nil && before.Key() != d.Key() {
					wrong(d, "device %s: its messages on %s cannot be told from those of %s, which has the same address %s",
						d.ID, f.Topic, before.Key(), fmt.Sprintf("%q", address(d)))
					break
				}
				taken[at] = d
			}
		}
	}
}
