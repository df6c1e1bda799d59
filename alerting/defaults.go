package alerting

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"go.yaml.in/yaml/v4"

	"greentally"
)

// SMTP says through which server mails go, in an alertmanager.yml.
type SMTP struct {
	Address      string // host:port; at port 465 TLS from the start
	From         string
	Hello        string // how the client calls itself; may be empty
	Username     string // may be empty
	PasswordFile string // so that the text of a configuration holds no secret
	RequireTLS   bool
}

const (
	groupInterval = "5m"
	morning       = "07:00"
	nobody        = "nobody"
	fires         = "bin_fire|bin_burning|battery_box_hot"
)

// Parts of an alertmanager.yml.
type (
	configText struct {
		Global        *globalText        `yaml:"global,omitempty"`
		Route         routeText          `yaml:"route"`
		InhibitRules  []inhibitText      `yaml:"inhibit_rules"`
		TimeIntervals []timeIntervalText `yaml:"time_intervals,omitempty"`
		Receivers     []receiverText     `yaml:"receivers"`
	}
	globalText struct {
		Smarthost    string `yaml:"smtp_smarthost"`
		From         string `yaml:"smtp_from"`
		Hello        string `yaml:"smtp_hello,omitempty"`
		Username     string `yaml:"smtp_auth_username,omitempty"`
		PasswordFile string `yaml:"smtp_auth_password_file,omitempty"`
		RequireTLS   bool   `yaml:"smtp_require_tls"`
	}
	routeText struct {
		Matchers []string    `yaml:"matchers,omitempty"`
		Receiver string      `yaml:"receiver,omitempty"`
		GroupBy  []string    `yaml:"group_by,flow,omitempty"`
		Wait     string      `yaml:"group_wait,omitempty"`
		Interval string      `yaml:"group_interval,omitempty"`
		Repeat   string      `yaml:"repeat_interval,omitempty"`
		Mute     []string    `yaml:"mute_time_intervals,flow,omitempty"`
		Continue bool        `yaml:"continue,omitempty"`
		Routes   []routeText `yaml:"routes,omitempty"`
	}
	inhibitText struct {
		Source []string `yaml:"source_matchers"`
		Target []string `yaml:"target_matchers"`
		Equal  []string `yaml:"equal,flow"`
	}
	timeIntervalText struct {
		Name      string      `yaml:"name"`
		Intervals []timesText `yaml:"time_intervals"`
	}
	timesText struct {
		Location string     `yaml:"location"`
		Times    []timeText `yaml:"times"`
	}
	timeText struct {
		Start string `yaml:"start_time"`
		End   string `yaml:"end_time"`
	}
	receiverText struct {
		Name   string      `yaml:"name"`
		Emails []emailText `yaml:"email_configs,omitempty"`
	}
	emailText struct {
		To           string            `yaml:"to"`
		SendResolved bool              `yaml:"send_resolved"`
		Headers      map[string]string `yaml:"headers"`
	}
)

// Defaults returns the text of an alertmanager.yml under which each contact of a community
// gets mails about it, in the language and of the severities that are the contact's own.
// Without an address of a server nobody gets any.
//
// The language is in the header Content-Language of an email_config, where those who write
// their own file can say it too.
func Defaults(communities []*greentally.Community, smtp SMTP) ([]byte, error) {
	c := configText{
		Route: routeText{Receiver: nobody, GroupBy: []string{"community", "alertname"}, Interval: groupInterval},
		InhibitRules: []inhibitText{
			{ // who empties a bin that overflows need not be told that it is nearly full
				Source: []string{`alertname="bin_overflowing"`},
				Target: []string{`alertname=~"bin_nearly_full|bin_not_emptied|overflow_forecast"`},
				Equal:  []string{"community", "device"},
			},
			{ // a gateway that is silent silences the devices behind it
				Source: []string{`alertname="device_silent"`, `kind="gateway"`, `gateway!=""`},
				Target: []string{`alertname="device_silent"`, `kind!="gateway"`},
				Equal:  []string{"community", "gateway"},
			},
			{ // first the fire; but a bin that lies on the ground burns otherwise
				Source: []string{`alertname=~"` + fires + `"`, `device!=""`},
				Target: []string{`alertname!~"` + fires + `|bin_tilted"`},
				Equal:  []string{"community", "device"},
			},
		},
		Receivers: []receiverText{{Name: nobody}},
	}
	if smtp.Address != "" {
		if _, _, err := net.SplitHostPort(smtp.Address); err != nil {
			return nil, fmt.Errorf("the address of the SMTP server %q is not of the form host:port, such as mail.example.org:587: %w", smtp.Address, err)
		}
		if smtp.From == "" {
			return nil, fmt.Errorf("mails through %s need a sender", smtp.Address)
		}
		c.Global = &globalText{smtp.Address, smtp.From, smtp.Hello, smtp.Username, smtp.PasswordFile, smtp.RequireTLS}
		for _, community := range communities {
			c.add(community)
		}
	}
	text, err := yaml.Dump(c)
	if err != nil {
		return nil, fmt.Errorf("write the default alertmanager configuration: %w", err)
	}
	return append([]byte(comment), text...), nil
}

const comment = `# Made by greentally from smtp and from the contacts in the communities' files. To change
# it, save it as a file of your own and name that in greentally.yaml; contacts then get the
# daily digest only. All keys: https://prometheus.io/docs/alerting/latest/configuration/
`

// add adds what the community's contacts get.
func (c *configText) add(community *greentally.Community) {
	if len(community.Contacts) == 0 {
		return
	}
	zone := cmp.Or(community.TimeZone, "UTC")
	var names []string
	for _, contact := range community.Contacts {
		name := c.free(community.ID + "/" + contact.Email)
		names = append(names, name)
		c.Receivers = append(c.Receivers, receiverText{name, []emailText{{
			To: contact.Email, SendResolved: true,
			Headers: map[string]string{"Content-Language": cmp.Or(contact.Language, "zh")},
		}}})
	}
	all := routeText{Matchers: []string{fmt.Sprintf("community=%q", community.ID)}}
	for _, s := range []struct {
		severity greentally.Severity
		wait     string // for others to come
		repeat   string
		quiet    string // since when until the morning; empty for never
	}{
		{greentally.Critical, "5s", "4h", ""},
		{greentally.Warning, "30s", "24h", "22:00"},
		{greentally.Info, "30s", "24h", "21:00"},
	} {
		r := routeText{Matchers: []string{fmt.Sprintf("severity=%q", s.severity)}, Wait: s.wait, Repeat: s.repeat}
		if s.severity == greentally.Critical { // the second fire does not wait for news of the first
			r.GroupBy = []string{"community", "alertname", "device"}
		}
		var mute []string // of each contact, for routes do not inherit it
		if s.quiet != "" {
			mute = []string{c.quiet(s.quiet, zone)}
		}
		for i, contact := range community.Contacts {
			if contact.Wants(s.severity) {
				r.Routes = append(r.Routes, routeText{Receiver: names[i], Mute: mute, Continue: true})
			}
		}
		if len(r.Routes) > 0 {
			all.Routes = append(all.Routes, r)
		}
	}
	c.Route.Routes = append(c.Route.Routes, all)
}

// free returns a name that no receiver has, for somebody can be a contact twice, such as
// in two languages.
func (c *configText) free(name string) string {
	for i, free := 2, name; ; i++ {
		if !slices.ContainsFunc(c.Receivers, func(r receiverText) bool { return r.Name == free }) {
			return free
		}
		free = fmt.Sprintf("%s (%d)", name, i)
	}
}

// quiet returns the name of the interval that begins then and ends in the morning.
func (c *configText) quiet(from, zone string) string {
	name := fmt.Sprintf("%s to %s in %s", from, morning, zone)
	if !slices.ContainsFunc(c.TimeIntervals, func(t timeIntervalText) bool { return t.Name == name }) {
		c.TimeIntervals = append(c.TimeIntervals, timeIntervalText{name, []timesText{{
			zone, []timeText{{from, "24:00"}, {"00:00", morning}},
		}}})
	}
	return name
}
