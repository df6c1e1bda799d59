package dashboards

import (
	"fmt"
	"io/fs"

	"go.yaml.in/yaml/v4"

	"greentally"
	"greentally/rules/indicators"
)

// Units. Those that Grafana would scale (1,000 kg to 1 Mg) or spell out in English are
// suffixes.
const (
	ratio    = "percentunit"
	number   = "none"
	celsius  = "celsius"
	watts    = "suffix: W"
	kg       = "suffix: kg"
	kWh      = "suffix: kWh"
	yuan     = "suffix: 元"
	hours    = "suffix: 小时"
	minutes  = "suffix: 分钟"
	times    = "suffix: 次"
	machines = "suffix: 台"
	pieces   = "suffix: 个"
	items    = "suffix: 项"
	notices  = "suffix: 条"
	grams    = "suffix: g/户"
	words    = "string"
	instant  = "time:MM-DD HH:mm"
	month    = "time:YYYY年M月"
	perSec   = "suffix: 条/秒"
	seconds  = "s"
	memory   = "bytes"
	entries  = "suffix: 个条目"
	failures = "suffix: 次/小时"
	points   = "suffix: 分"
)

// word is how something is shown.
type word struct{ text, color string }

const (
	green  = "#56A64B"
	orange = "#FF780A"
	red    = "#E02F44"
	blue   = "#3274D9"
	grey   = "#8E8E8E"
)

var (
	streams = map[string]word{
		string(greentally.Recyclable): {"可回收物", blue},
		string(greentally.Hazardous):  {"有害垃圾", red},
		string(greentally.Food):       {"厨余垃圾", green},
		string(greentally.Residual):   {"其他垃圾", grey},
	}
	kinds = map[string]word{
		"sorting_bin": {text: "分类垃圾桶"}, "battery_box": {text: "废电池回收箱"}, "lighting_meter": {text: "照明电表"},
		"oil_drum": {text: "废油桶"}, "water_meter": {text: "水表"}, "gateway": {text: "网关"},
	}
	severities = map[string]word{
		string(greentally.Critical): {"紧急", red}, string(greentally.Warning): {"警告", orange}, string(greentally.Info): {"提示", blue},
	}
	verdicts = map[string]word{
		string(greentally.Pass): {"达标", green}, string(greentally.Fail): {"未达标", red},
		string(greentally.InsufficientData): {"数据不足", orange}, string(greentally.NoTarget): {"无目标值", grey},
	}
	// Of schemes: one may give points and say nothing of how many are enough.
	judgements = map[string]word{
		string(greentally.Pass): {"达标", green}, string(greentally.Fail): {"未达标", red},
		string(greentally.InsufficientData): {"尚不能判定", orange}, string(greentally.NoTarget): {"不设达标线", grey},
	}
	nothing = map[string]word{"": {text: "—"}}
	units   = map[string]word{
		"ratio": {text: "%"}, "kg": {text: "kg"}, "kWh": {text: "kWh"}, "h": {text: "小时"}, "boxes": {text: "个"}, "lamps": {text: "盏"},
		"g/household": {text: "g/户"}, "g/person": {text: "g/人"},
	}
	whetherFiring = map[string]word{"true": {"未结束", red}, "false": {"已结束", green}}
)

// rates are the indicators that are shipped, by name.
type rates map[string]rate

type rate struct {
	Name   string             `yaml:"indicator"`
	Title  greentally.Text    `yaml:"title"`
	Unit   string             `yaml:"unit"`
	Target *greentally.Target `yaml:"target"`
}

// shippedRates reads what the dashboards must know of the indicators' files; package
// indicators checks the rest of them.
func shippedRates() (rates, error) {
	files := indicators.Shipped().FS
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	all := rates{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var r rate
		if err := yaml.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[r.Name] = r
	}
	return all, nil
}

// called are the names of indicators, for charts.
func (all rates) called(indicators ...string) map[string]word {
	found := map[string]word{}
	for _, name := range indicators {
		found[name] = word{text: all[name].Title.ZH}
	}
	return found
}

// goal is the target as it is written.
func (r rate) goal() string {
	if r.Target == nil {
		return ""
	}
	return r.Target.In(r.Unit)
}

// title is the indicator's with its target.
func (r rate) title() string {
	if goal := r.goal(); goal != "" {
		return r.Title.ZH + "（目标 " + goal + "）"
	}
	return r.Title.ZH
}

// steps are green where the target is met.
func (r rate) steps() []step {
	switch {
	case r.Target == nil:
		return nil
	case r.Target.AtLeast != nil:
		return []step{{color: red}, {*r.Target.AtLeast, green}}
	default:
		// A value that is just the target is met.
		return []step{{color: green}, {*r.Target.AtMost + 1e-9, red}}
	}
}

// max is the end of a scale on which the target can be seen.
func (r rate) max() float64 {
	if r.Target != nil && r.Target.AtMost != nil {
		return 4 * *r.Target.AtMost
	}
	return 1
}
