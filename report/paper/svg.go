package paper

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-analyze/charts/chartdraw/drawing"
)

// Draw draws a picture as go-analyze/charts writes it in SVG: straight paths, circles and
// text. Its unit becomes so many millimetres. Anything else in it is an error.
func (s *Sheet) Draw(svg []byte, x, y, unit float64) error {
	d := drawer{Sheet: s, x: x, y: y, unit: unit, numbers: regexp.MustCompile(`-?[\d.]+`), commands: regexp.MustCompile(`[A-Z][^A-Z]*`)}
	decoder := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("picture: %w", err)
		}
		element, ok := token.(xml.StartElement)
		if !ok || element.Name.Local == "svg" {
			continue
		}
		a := attributes{}
		for _, attribute := range element.Attr {
			a[attribute.Name.Local] = attribute.Value
		}
		switch element.Name.Local {
		case "path":
			err = d.path(a)
		case "circle":
			d.circle(a)
		case "text":
			var text string
			if err = decoder.DecodeElement(&text, &element); err == nil && a["transform"] != "" {
				err = errors.New("there is turned text in it")
			}
			d.text(a, text)
		default:
			err = fmt.Errorf("there is a %s in it", element.Name.Local)
		}
		if err != nil {
			return fmt.Errorf("picture: %w", err)
		}
	}
}

type drawer struct {
	*Sheet
	x, y, unit float64

	numbers, commands *regexp.Regexp
}

type attributes map[string]string

func (a attributes) number(name string) float64 {
	v, _ := strconv.ParseFloat(strings.TrimSuffix(a[name], "px"), 64)
	return v
}

// style returns the attributes within the one called style.
func (a attributes) style() attributes {
	all := attributes{}
	for part := range strings.SplitSeq(a["style"], ";") {
		if name, value, ok := strings.Cut(part, ":"); ok {
			all[name] = value
		}
	}
	return all
}

func colour(text string) Ink {
	c := drawing.ParseColor(text)
	return Ink{int(c.R), int(c.G), int(c.B)}
}

// begin sets the pens, and returns whether to fill, to stroke or both, in the library's words.
func (d *drawer) begin(a attributes) (kind string) {
	st := a.style()
	if fill := st["fill"]; fill != "none" {
		c := colour(fill)
		d.pdf.SetFillColor(c[0], c[1], c[2])
		kind = "F"
	}
	if stroke := st["stroke"]; stroke != "none" {
		c := colour(stroke)
		d.pdf.SetDrawColor(c[0], c[1], c[2])
		d.pdf.SetLineWidth(st.number("stroke-width") * d.unit)
		var dashes []float64
		for _, n := range d.numbers.FindAllString(a["stroke-dasharray"], -1) {
			v, _ := strconv.ParseFloat(n, 64)
			dashes = append(dashes, v*d.unit)
		}
		d.pdf.SetDashPattern(dashes, 0)
		kind += "D"
	}
	return kind
}

func (d *drawer) path(a attributes) error {
	kind := d.begin(a)
	if kind == "" {
		return nil
	}
	for _, command := range d.commands.FindAllString(a["d"], -1) {
		var at []float64
		for _, n := range d.numbers.FindAllString(command, -1) {
			v, err := strconv.ParseFloat(n, 64)
			if err != nil {
				return err
			}
			at = append(at, v*d.unit)
		}
		switch {
		case command[0] == 'M' && len(at) == 2:
			d.pdf.MoveTo(d.x+at[0], d.y+at[1])
		case command[0] == 'L' && len(at) == 2:
			d.pdf.LineTo(d.x+at[0], d.y+at[1])
		case command[0] == 'Q' && len(at) == 4:
			d.pdf.CurveTo(d.x+at[0], d.y+at[1], d.x+at[2], d.y+at[3])
		case command[0] == 'Z':
			d.pdf.ClosePath()
		default:
			return fmt.Errorf("there is %q in it", command)
		}
	}
	d.pdf.DrawPath(kind)
	d.pdf.SetDashPattern(nil, 0)
	return nil
}

func (d *drawer) circle(a attributes) {
	if kind := d.begin(a); kind != "" {
		d.pdf.Circle(d.x+a.number("cx")*d.unit, d.y+a.number("cy")*d.unit, a.number("r")*d.unit, kind)
		d.pdf.SetDashPattern(nil, 0)
	}
}

func (d *drawer) text(a attributes, text string) {
	st := a.style()
	d.write(d.x+a.number("x")*d.unit, d.y+a.number("y")*d.unit, AtLeft, text,
		Style{Size: st.number("font-size") * d.unit / point, Ink: colour(st["fill"])})
}
