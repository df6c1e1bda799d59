package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"greentally"
	"greentally/rules/schemes"
)

func (p *program) assessCommand() *cobra.Command {
	var community, monthText, scheme, format, language string
	cmd := &cobra.Command{
		Use:   "assess",
		Short: "Hold a community's month against certification schemes",
		Long: `Scores a month by the items of a certification scheme: by its indicators, and by what
people attest in records (documents, inspections, judgements). Where the evidence does
not suffice, points are a range from what is certain to what is possible, and there is a
level or a verdict only if both ends give the same.

Without --scheme it shows one line for each scheme.`,
		Example: `  greentally assess --community jiayuan --month 2026-10
  greentally assess --community jiayuan --month 2026-10 --scheme jiayuan_claims
  greentally assess --community jiayuan --month 2026-10 --scheme neimenggu --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(oneOf("format", format, "table", "json"), oneOf("lang", language, "zh", "en")); err != nil {
				return err
			}
			e, err := p.evidence(cmd.Context(), community, monthText)
			if err != nil {
				return err
			}
			all, err := e.schemes.Assess(schemes.Evidence{Community: e.community, Month: e.month, Indicators: e.values, Records: e.records})
			if err != nil {
				return err
			}
			if scheme != "" {
				i := slices.IndexFunc(all, func(a greentally.Assessment) bool { return a.Scheme == scheme })
				if i < 0 {
					return fmt.Errorf("there is no scheme %q; there are %s", scheme, strings.Join(e.schemes.Names(), ", "))
				}
				all = all[i : i+1]
			}
			switch {
			case format == "json":
				return writeJSON(p.out, all)
			case scheme == "":
				writeAssessments(p.out, all, language)
				return nil
			}
			return writeAssessment(p.out, all[0], language)
		},
	}
	cmd.Flags().StringVar(&community, "community", "", "the community")
	cmd.Flags().StringVar(&monthText, "month", "", "the month, such as 2026-10")
	cmd.Flags().StringVar(&scheme, "scheme", "", "the scheme; its items are shown")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	cmd.Flags().StringVar(&language, "lang", "zh", "language of the table: zh or en")
	for _, name := range []string{"community", "month"} {
		_ = cmd.MarkFlagRequired(name) // fails only for an unknown flag
	}
	return cmd
}

// oneOf checks the word of a flag.
func oneOf(flag, word string, of ...string) error {
	if !contains(word, of...) {
		return fmt.Errorf("--%s %q is none of %s", flag, word, strings.Join(of, ", "))
	}
	return nil
}

func writeAssessments(out io.Writer, all []greentally.Assessment, language string) {
	words := assessWords()[language]
	yes := func(b bool) string { return words[strconv.FormatBool(b)] }
	t := newTable(out)
	t.AppendHeader(table.Row{words["scheme"], words["title"], words["points"], words["complete"], words["verified"], words["verdict"], words["level"]})
	for _, a := range all {
		t.AppendRow(table.Row{a.Scheme, a.Title.In(language), pointsOf(a.AtLeast, a.AtMost, a.Total), yes(a.Complete), yes(a.Verified),
			reportWords[language][string(a.Verdict)], a.LevelTitle.In(language)})
	}
	t.Render()
}

func writeAssessment(out io.Writer, a greentally.Assessment, language string) error {
	words := assessWords()[language]
	if _, err := fmt.Fprintln(out, strings.Join(assessmentHead(a, language), "\n")); err != nil {
		return err
	}
	t := newTable(out)
	t.AppendHeader(table.Row{words["item"], words["title"], words["points"], words["verdict"], words["reasons"]})
	var group greentally.Text
	for _, item := range a.Items {
		if item.Group != group {
			group = item.Group
			t.AppendSeparator()
			if title := group.In(language); title != "" {
				t.AppendRow(table.Row{"", title})
			}
		}
		reasons := slices.Clone(item.Reasons)
		if item.EstimatedShare > 0 {
			reasons = append(reasons, greentally.Textf("%s 的质量为估算", "%s of the mass is estimated", greentally.Percent(item.EstimatedShare)))
		}
		title := item.Title.In(language)
		if !item.Verified {
			title += " *"
		}
		t.AppendRow(table.Row{item.Item, title, pointsOf(item.AtLeast, item.AtMost, item.Points), reportWords[language][string(item.Verdict)], shorten(greentally.JoinTexts(reasons, "；", "; ").In(language), 90)})
	}
	for _, part := range a.Parts {
		t.AppendRow(table.Row{part.Scheme, "", pointsOf(part.AtLeast, part.AtMost, part.Weight), "", ""})
	}
	t.AppendFooter(table.Row{"", words["total"], pointsOf(a.AtLeast, a.AtMost, a.Total), reportWords[language][string(a.Verdict)], a.LevelTitle.In(language)})
	t.Render()
	if why := a.Reason.In(language); why != "" {
		if _, err := fmt.Fprintln(out, why); err != nil {
			return err
		}
	}
	return nil
}

// assessmentHead returns the lines above an assessment: what it is of, and what a reader
// must know before believing it.
func assessmentHead(a greentally.Assessment, language string) []string {
	words := assessWords()[language]
	head := []string{fmt.Sprintf("%s %s %s", a.Title.In(language), a.Community, a.Month), words["source"] + a.Source}
	if e := a.Effective; e != (greentally.Period{}) {
		var from, until string
		if e.From != nil {
			from = fmt.Sprintf(words["from"], e.From)
		}
		if e.Until != nil {
			until = fmt.Sprintf(words["until"], e.Until)
		}
		head = append(head, fmt.Sprintf(words["effective"], from+until))
	}
	if note := a.Note.In(language); note != "" {
		head = append(head, note)
	}
	if !a.Verified {
		head = append(head, words["unverified"])
	}
	if !a.Complete {
		head = append(head, words["incomplete"])
	}
	return head
}

// pointsOf writes points, or the range in which they are, of those that can be had.
func pointsOf(least, most, of float64) string {
	text := number(&least)
	if most != least {
		text += "–" + number(&most)
	}
	if of == 0 {
		return ""
	}
	return text + " / " + number(&of)
}

func assessWords() map[string]map[string]string {
	return map[string]map[string]string{
		"zh": {"scheme": "标准", "title": "名称", "points": "得分", "complete": "条目完整", "verified": "已核对原文", "verdict": "结论", "level": "等级", "item": "条目", "reasons": "依据与原因",
			"total": "合计", "true": "是", "false": "否",
			"source": "依据：", "effective": "%s施行", "from": "自 %s 起", "until": "至 %s 止",
			"unverified": "注意：未全部与原文核对（未核对的条目标有 *），引用前请核对原文。",
			"incomplete": "注意：未收录原文的全部条目，因此不能判定为达标。"},
		"en": {"scheme": "scheme", "title": "title", "points": "points", "complete": "complete", "verified": "verified", "verdict": "verdict", "level": "level", "item": "item", "reasons": "reasons",
			"total": "total", "true": "yes", "false": "no",
			"source": "Source: ", "effective": "In effect%s", "from": " from %s", "until": " until %s",
			"unverified": "Caution: not all of this was compared with the document (items that were not have a *). Compare it before you rely on it.",
			"incomplete": "Caution: not all items of the document are here, so it cannot be passed."},
	}
}
