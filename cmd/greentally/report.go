package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/report"
	"greentally/rules/schemes"
)

func (p *program) reportCommand() *cobra.Command {
	var community, monthText, format, language string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "A community's rates of a month, with what they rest on",
		Long: `Computes the rates of a month from the device-days and records in the store, with
numerator, denominator, completeness, target and verdict. With too little evidence
there is no verdict but "insufficient data". The table names those for which there is no evidence at all in one
line; CSV and JSON have them all, with reasons.

It reads the store itself, so it works with and without a running greentally.`,
		Example: `  greentally report --community jiayuan --month 2026-10
  greentally report --community jiayuan --month 2026-10 --format json | jq '.[].value'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(oneOf("format", format, "table", "csv", "json"), oneOf("lang", language, "zh", "en")); err != nil {
				return err
			}
			e, err := p.evidence(cmd.Context(), community, monthText)
			if err != nil {
				return err
			}
			out := p.out
			if format == "csv" {
				out = p.data
			}
			return writeReport(out, e, format, language)
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&monthText, "month", "", "the month, such as 2026-10")
	cmd.Flags().StringVar(&format, "format", "table", "table, csv or json")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of the table: zh or en")
	for _, name := range []string{"community", "month"} {
		_ = cmd.MarkFlagRequired(name) // fails only for an unknown flag
	}
	return cmd
}

// evidence is what a month of a community is judged by.
type evidence struct {
	community *greentally.Community
	month     greentally.Month
	through   greentally.Date // the last day of the month that is over
	values    []greentally.IndicatorValue
	records   []greentally.Record
	schemes   *schemes.Set
}

// evidence reads the store, and computes the indicators of a month from it.
func (p *program) evidence(ctx context.Context, community, monthText string) (e evidence, err error) {
	if e.month, err = greentally.ParseMonth(monthText); err != nil {
		return e, fmt.Errorf("--month: %w", err)
	}
	c, err := loadConfig(p.configFile, p.environment)
	if err != nil {
		return e, err
	}
	if c.InfluxDB.URL == "" {
		if _, err := os.Stat(c.sqliteFile()); err != nil {
			return e, fmt.Errorf("there is no store: %w; set data_dir, or start greentally run first", err)
		}
	}
	registry, err := openRegistry(c)
	if err != nil {
		return e, err
	}
	var known bool
	if e.community, known = registry.Current().Community(community); !known {
		var ids []string
		for _, known := range registry.Current().Communities() {
			ids = append(ids, known.ID)
		}
		return e, fmt.Errorf("there is no community %q in %s; there are %v", community, c.Communities, ids)
	}
	now := time.Now()
	e.through = e.month.Last()
	if loc, ok := registry.Current().Location(community); ok {
		if yesterday := greentally.DateOf(now, loc).Add(-1); yesterday.Before(e.through) {
			e.through = yesterday
		}
	}
	types, err := openRecordTypes(c)
	if err != nil {
		return e, err
	}
	set, err := openIndicators(c, registry.Current(), types)
	if err != nil {
		return e, err
	}
	if e.schemes, err = openSchemes(c, set, types); err != nil {
		return e, err
	}
	log := p.logger(c)
	store, err := openStore(ctx, c, log)
	if err != nil {
		return e, err
	}
	if e.records, err = store.Records(ctx, community, greentally.Date{}, greentally.Date{}); err == nil {
		e.values, err = newWorker(store, registry, set, log).Report(ctx, community, e.month, now)
	}
	return e, errors.Join(err, store.Close())
}

func writeReport(out io.Writer, e evidence, format, language string) error {
	values := e.values
	switch format {
	case "json":
		return writeJSON(out, values)
	case "csv":
		return report.CSV(out, values)
	}
	words := reportWords[language]
	heading := e.community.Name.In(language) + " " + e.month.String()
	if e.through.Before(e.month.Last()) {
		heading += fmt.Sprintf(words["running"], e.through)
	}
	if _, err := fmt.Fprintln(out, heading); err != nil {
		return err
	}
	t := newTable(out)
	t.AppendHeader(table.Row{words["indicator"], words["value"], words["numerator"], words["denominator"], words["completeness"], words["target"], words["verdict"]})
	var without []string
	for _, v := range values {
		if !report.HasEvidence(v) {
			without = append(without, v.Title.In(language))
			continue
		}
		t.AppendRow(table.Row{v.Title.In(language), withUncertainty(v, language), number(v.Numerator), number(v.Denominator),
			fmt.Sprintf("%.1f %%", 100*v.Completeness), target(v, language), words[string(v.Verdict)]})
	}
	t.Render()
	for _, v := range values {
		if v.EstimatedShare > 0 {
			if _, err := fmt.Fprintf(out, words["estimated"]+"\n", v.Title.In(language), 100*v.EstimatedShare); err != nil {
				return err
			}
		}
	}
	if err := writeAssumptions(out, values, language); err != nil {
		return err
	}
	for _, v := range values {
		for _, in := range v.Inputs {
			if f := in.Factor; f != nil && v.Value != nil {
				if _, err := fmt.Fprintf(out, words["factor"]+"\n", v.Title.In(language), strings.TrimSuffix(f.Factor+" "+f.Of, " "), f.Year, f.Value, f.Unit); err != nil {
					return err
				}
			}
		}
	}
	for _, v := range values {
		if v.Reason != (greentally.Text{}) && report.HasEvidence(v) {
			if _, err := fmt.Fprintln(out, greentally.Textf("%s：%s", "%s: %s", v.Title, v.Reason).In(language)); err != nil {
				return err
			}
		}
	}
	if len(without) > 0 {
		if _, err := fmt.Fprintf(out, words["without"]+"\n", len(without), strings.Join(without, words["comma"])); err != nil {
			return err
		}
	}
	return nil
}

// reportWords are the words of the tables, and of the demo around them, by language.
var reportWords = map[string]map[string]string{
	"zh": {
		"indicator": "指标", "value": "数值", "numerator": "分子", "denominator": "分母", "completeness": "完整度", "target": "目标", "verdict": "结论",
		"measured": "实测", "truth": "真值", "difference": "差", "points": "个百分点", "days": "天",
		"estimated": "%s：其中 %.1f %% 的质量由满溢度估算，未经称重。",
		"without":   "没有任何设备或记录可依据的指标（%d 项）：%s。", "comma": "、",
		"running": "（本月未结束，截至 %s）", "factor": "%s：采用 %s %d 年数据 %v %s",
		"uncertainty": "±为扩展不确定度（k = 2）：", "and": "；", "stop": "。",
		"why":  "数据不足：该月只有 %d 天的数据，完整度 %.1f %%，低于 %.0f %%。",
		"pass": "达标", "fail": "未达标", "insufficient_data": "数据不足", "no_target": "无目标",

		"sending": "%d 台设备发送 %d 天的数据",
		"sent":    "%s · %d 台设备 · %d 条读数，用时 %s",
		"places": `页面      %s
大屏      %s
MQTT      %s   （试试：mosquitto_sub -p %s -t 'greentally/v1/#' -v）
接口      %s
监控指标  %s
数据      %s

设备继续实时上报。按 Ctrl-C 结束演示。
`,
	},
	"en": {
		"indicator": "indicator", "value": "value", "numerator": "numerator", "denominator": "denominator", "completeness": "complete", "target": "target", "verdict": "verdict",
		"measured": "measured", "truth": "truth", "difference": "difference", "points": "pp", "days": "days",
		"estimated": "%s: %.1f %% of the mass in it was estimated from filling levels, not weighed.",
		"without":   "Indicators for which there is no device and no record (%d): %s.", "comma": ", ",
		"running": " (not over yet, up to %s)", "factor": "%s: with %s of %d, %v %s",
		"uncertainty": "± is the expanded uncertainty (k = 2). ", "and": "; ", "stop": ".",
		"why":  "Insufficient data: only %d days of the month have data, completeness %.1f %%, below %.0f %%.",
		"pass": "pass", "fail": "fail", "insufficient_data": "insufficient data", "no_target": "no target",

		"sending": "%d devices send %d days",
		"sent":    "%s · %d devices · %d readings in %s",
		"places": `Pages     %s
Screen    %s
MQTT      %s   (try: mosquitto_sub -p %s -t 'greentally/v1/#' -v)
API       %s
Metrics   %s
Data      %s

The devices go on live. Ctrl-C ends the demo.
`,
	},
}

// narrow makes tables count ≥, – and lines as one column wide, as terminals draw them,
// also where LANG is Chinese.
var narrow = sync.OnceFunc(func() { text.OverrideRuneWidthEastAsianWidth(false) })

func newTable(out io.Writer) table.Writer {
	narrow()
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header, t.Style().Format.Footer = text.FormatDefault, text.FormatDefault
	return t
}

// number writes a number that may be missing, for people: with three places at most.
func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(*v, 'f', 3, 64), "0"), ".")
}

// writeAssumptions tells what ± means, and what it rests on: once for all values.
func writeAssumptions(out io.Writer, values []greentally.IndicatorValue, language string) error {
	var all []string
	for _, v := range values {
		for _, a := range v.Assumptions {
			if text := a.In(language); !contains(text, all...) {
				all = append(all, text)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	words := reportWords[language]
	_, err := fmt.Fprintln(out, words["uncertainty"]+strings.Join(all, words["and"])+words["stop"])
	return err
}

// withUncertainty writes an indicator's value and its uncertainty.
func withUncertainty(v greentally.IndicatorValue, language string) string {
	text := show(v.Value, v.Unit, language)
	if v.Value == nil || v.Uncertainty == nil {
		return text
	}
	if v.Unit == "ratio" {
		return strings.TrimSuffix(text, " %") + fmt.Sprintf(" ± %.2f %%", 100**v.Uncertainty)
	}
	unit := greentally.UnitTitle(v.Unit).In(language)
	return strings.TrimSuffix(text, " "+unit) + fmt.Sprintf(" ± %.3f %s", *v.Uncertainty, unit)
}

// show writes an indicator's value with its unit, ratios in percent.
func show(v *float64, unit, language string) string {
	switch {
	case v == nil:
		return "–"
	case unit == "ratio":
		return fmt.Sprintf("%.2f %%", 100*(*v))
	}
	return fmt.Sprintf("%.3f %s", *v, greentally.UnitTitle(unit).In(language))
}

func target(v greentally.IndicatorValue, language string) string {
	switch {
	case v.Target == nil:
		return ""
	case v.Target.AtLeast != nil:
		return "≥ " + show(v.Target.AtLeast, v.Unit, language)
	default:
		return "≤ " + show(v.Target.AtMost, v.Unit, language)
	}
}
