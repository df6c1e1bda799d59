package report

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"greentally"
)

// SameXLSX compares two workbooks that one version of the program wrote, part by part: what
// differs is named. The order in which parts lie in a workbook means nothing.
func SameXLSX(stated, again []byte) ([]string, error) {
	other, err := parts(again, nil)
	if err != nil {
		return nil, err
	}
	one, err := parts(stated, other)
	if err != nil {
		return nil, err
	}
	names := maps.Clone(one)
	maps.Copy(names, other)
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, in := one[name]
		b, inOther := other[name]
		if in != inOther || !bytes.Equal(a, b) {
			differ = append(differ, name)
		}
	}
	return differ, nil
}

// contentTypes is the part whose elements come in no order.
const contentTypes = "[Content_Types].xml"

// parts unpacks a workbook; each part no further than that of another, if there is one.
func parts(book []byte, like map[string][]byte) (map[string][]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, f := range z.File {
		if _, twice := all[f.Name]; twice {
			return nil, fmt.Errorf("%s is in it twice", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		most := int64(math.MaxInt64 - 1)
		if like != nil {
			most = int64(len(like[f.Name]))
		}
		data, err := io.ReadAll(io.LimitReader(r, most+1))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Name == contentTypes {
			elements := strings.SplitAfter(string(data), ">")
			slices.Sort(elements)
			data = []byte(strings.Join(elements, ""))
		}
		all[f.Name] = data
	}
	return all, nil
}

// largest is what a workbook unpacks to, at most, in bytes.
const largest = 1 << 30

// CheckXLSX compares the values of a workbook's indicators, as they stand beside the formulas,
// with what they should be, for a workbook of another version. Each error names the indicator.
func CheckXLSX(data []byte, values []greentally.IndicatorValue) (wrong []error) {
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{UnzipSizeLimit: largest, UnzipXMLSizeLimit: largest})
	if err != nil {
		return []error{err}
	}
	defer func() {
		if err := f.Close(); err != nil {
			wrong = append(wrong, err)
		}
	}()
	rows := map[string][]string{}
	for _, words := range sheetWords() {
		all, err := f.GetRows(words["indicators"], excelize.Options{RawCellValue: true})
		if err != nil {
			continue // the workbook is in the other language
		}
		for _, row := range all {
			if len(row) > 0 {
				rows[row[0]] = row
			}
		}
	}
	for _, v := range values {
		row := rows[v.Indicator]
		for column, want := range map[int]*float64{rateValue: v.Value, rateNumerator: v.Numerator, rateDenominator: v.Denominator} {
			got := ""
			if len(row) >= column {
				got = row[column-1]
			}
			number, err := strconv.ParseFloat(got, 64)
			if want == nil && got != "" || want != nil && (err != nil || math.Abs(number-*want) > 1e-9*max(1, math.Abs(*want))) {
				wrong = append(wrong, fmt.Errorf("indicator %s is %q, and should be %s", v.Indicator, got, Exact(want)))
			}
		}
	}
	return wrong
}
