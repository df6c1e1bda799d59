package report

import (
	"encoding/csv"
	"io"

	"greentally"
)

// CSV writes indicators as a table, one a line, with the headings of their JSON.
func CSV(w io.Writer, values []greentally.IndicatorValue) error {
	table := csv.NewWriter(w)
	rows := [][]string{{"community", "month", "indicator", "unit", "value", "numerator", "denominator", "completeness", "estimated_share", "target", "verdict", "reason_zh", "reason_en", "uncertainty", "title_zh", "title_en"}}
	for _, v := range values {
		target := ""
		if v.Target != nil {
			target = v.Target.In(v.Unit)
		}
		rows = append(rows, []string{v.Community, v.Month.String(), v.Indicator, v.Unit, Exact(v.Value), Exact(v.Numerator), Exact(v.Denominator),
			Exact(&v.Completeness), Exact(&v.EstimatedShare), target, string(v.Verdict), v.Reason.ZH, v.Reason.EN, Exact(v.Uncertainty), v.Title.ZH, v.Title.EN})
	}
	if err := table.WriteAll(rows); err != nil {
		return err
	}
	return table.Error()
}
