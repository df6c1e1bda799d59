package paper

import "slices"

// Column is a column of a table. The widths of all come to [Width].
type Column struct {
	Title string
	Width float64
	Align Align
}

// Row is a row of a table: cells, or the title of the rows below it.
type Row struct {
	Cells []Cell
	Note  string // below the cells, over the whole width
	Group string
}

// Cell is a text, or a mark, and what stands below it.
type Cell struct {
	Text   string
	Strong bool
	Mark   *Mark
	Below  string
}

// Texts are cells of text.
func Texts(texts ...string) []Cell {
	all := make([]Cell, len(texts))
	for i, t := range texts {
		all[i].Text = t
	}
	return all
}

// Space within a table.
const (
	beside = 1.5  // a cell's text, on both sides
	above  = 0.95 // a row's text, and as much below
)

// Table draws rows over as many pages as they need; the head is repeated on each.
func (s *Sheet) Table(columns []Column, rows []Row) {
	laid := make([]laidRow, len(rows))
	for i, r := range rows {
		laid[i] = s.lay(columns, r)
	}
	// A group's title stays with the row after it.
	together := func(i int) float64 {
		height := laid[i].height()
		for ; rows[i].Group != "" && i+1 < len(rows); i++ {
			height += laid[i+1].height()
		}
		return height
	}
	for i, r := range laid {
		if wanted := together(i); i == 0 {
			s.Need(min(12+wanted, 80))
			s.tableHead(columns)
		} else if s.Y+wanted > Bottom && wanted < (Bottom-Top)/2 {
			s.Break()
			s.tableHead(columns)
		}
		for !r.empty() {
			if s.Y+min(r.height(), 8) > Bottom {
				s.Break()
				s.tableHead(columns)
			}
			r = s.drawRow(columns, r)
		}
		s.Rule(Left, s.Y, Right, s.Looks.Line, 0.15)
	}
	s.Y += 3.5
}

func (s *Sheet) tableHead(columns []Column) {
	st := s.Looks.Head
	heights := make([]float64, len(columns))
	for i, c := range columns {
		heights[i] = float64(len(s.Lines(c.Title, c.Width-2*beside, st))) * st.Leading()
	}
	height := slices.Max(heights)
	x := Left
	for i, c := range columns {
		s.Block(x+beside, s.Y+height-heights[i], c.Width-2*beside, c.Align, c.Title, st)
		x += c.Width
	}
	s.Y += height + 1.2
	s.Rule(Left, s.Y, Right, s.Looks.Black, 0.35)
}

// laidRow is a row broken into lines.
type laidRow struct {
	cells [][]laidLine
	below []laidLine // over the whole width
	group bool
}

type laidLine struct {
	text  string
	style Style
	mark  *Mark
}

func (s *Sheet) lay(columns []Column, r Row) (l laidRow) {
	broken := func(text string, width float64, st Style) (all []laidLine) {
		if text != "" {
			for _, line := range s.Lines(text, width-2*beside, st) {
				all = append(all, laidLine{text: line, style: st})
			}
		}
		return all
	}
	if r.Group != "" {
		return laidRow{below: broken(r.Group, Width, s.Looks.CellStrong), group: true}
	}
	for i, c := range r.Cells {
		var lines []laidLine
		if c.Mark != nil {
			lines = append(lines, laidLine{mark: c.Mark})
		}
		st := s.Looks.Cell
		if c.Strong {
			st = s.Looks.CellStrong
		}
		lines = append(lines, broken(c.Text, columns[i].Width, st)...)
		l.cells = append(l.cells, append(lines, broken(c.Below, columns[i].Width, s.Looks.CellFaint)...))
	}
	l.below = broken(r.Note, Width, s.Looks.CellFaint)
	return l
}

func (l laidLine) height() float64 {
	if l.mark != nil {
		return markHeight + 0.3
	}
	return l.style.Leading()
}

func (l laidRow) empty() bool { return len(l.below) == 0 && !l.hasCells() }

func (l laidRow) hasCells() bool {
	return slices.ContainsFunc(l.cells, func(lines []laidLine) bool { return len(lines) > 0 })
}

func (l laidRow) height() float64 {
	sum := func(lines []laidLine) (height float64) {
		for _, line := range lines {
			height += line.height()
		}
		return height
	}
	height := 0.0
	for _, lines := range l.cells {
		height = max(height, sum(lines))
	}
	return height + sum(l.below) + 2*above
}

// drawRow draws as much of a row as fits on the page, and returns what is left of it.
func (s *Sheet) drawRow(columns []Column, l laidRow) (left laidRow) {
	if l.group {
		s.Box(Left, s.Y+0.1, Width, l.height()-0.2, Frame{Fill: &s.Looks.Pale})
	}
	top := s.Y + above
	fits := Bottom - s.Y - 2*above + 0.01
	draw := func(x, y float64, c Column, lines []laidLine) (float64, []laidLine) {
		for len(lines) > 0 && y+lines[0].height() <= fits {
			width := c.Width - 2*beside
			if m := lines[0].mark; m != nil {
				s.Mark(x+beside+width/2, top+y+0.15, *m)
			} else {
				s.Put(c.Align.in(x+beside, width), top+y, lines[0].height(), c.Align, lines[0].text, lines[0].style)
			}
			y += lines[0].height()
			lines = lines[1:]
		}
		return y, lines
	}
	height, x := 0.0, Left
	left = l
	left.cells = nil
	for i, lines := range l.cells {
		y, rest := draw(x, 0, columns[i], lines)
		left.cells = append(left.cells, rest)
		height = max(height, y)
		x += columns[i].Width
	}
	if !left.hasCells() {
		height, left.below = draw(Left, height, Column{Width: Width}, l.below)
	}
	s.Y += height + 2*above
	return left
}
