package records_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"greentally"
	"greentally/records"
)

// reader reads tables of a community at Beijing's time, with a photo beside them.
func reader() records.CSV {
	return records.CSV{
		Name: "a.csv",
		Location: func(community string) (*time.Location, error) {
			if community != "jiayuan" {
				return nil, fmt.Errorf("community %q: %w", community, fs.ErrNotExist)
			}
			return time.FixedZone("", 8*60*60), nil
		},
		Attach: func(path string) (greentally.Attachment, error) {
			if !strings.HasSuffix(path, ".jpg") {
				return greentally.Attachment{}, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
			}
			return records.Describe(path, photo(100+len(path)))
		},
	}
}

const table = `community,type,date,by,asked,aware,why
jiayuan,survey,2026-10-08,李娜,200,180,"at the gate, by ""hand"""
jiayuan,survey,2026-10-09,李娜,100,,
,,,,,,
`

func TestReadCSV(t *testing.T) {
	rows, past, err := types(t).ReadCSV(reader(), []byte(table))
	if err != nil || past != 0 || len(rows) != 2 {
		t.Fatalf("%d rows, %d past, %v", len(rows), past, err)
	}
	first, second := rows[0].Record, rows[1].Record
	if rows[0].Line != 2 || rows[1].Line != 3 || first.Community != "jiayuan" || first.Type != "survey" || first.Date != audit().Date || first.By != "李娜" ||
		first.Why != `at the gate, by "hand"` || len(first.Values) != 2 || first.Values["aware"] != 180 || len(second.Values) != 1 {
		t.Errorf("rows %+v", rows)
	}
}

// What spreadsheets make of a table is the same table.
func TestReadCSVInAllForms(t *testing.T) {
	want, _, err := types(t).ReadCSV(reader(), []byte(table))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(e encoding.Encoding, text string) string {
		out, err := e.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	chinese := strings.NewReplacer("community", "社区", "type", "类型", "date", "日期", "by,", "填报人,", "asked", "调查人数", "aware", "知晓人数", "why", "说明",
		"survey", "问卷调查", "2026-10-08", "2026/10/8", "2026-10-09", "2026年10月9日").Replace(table)
	chinese = strings.Replace(chinese, `填报人 ""hand""`, `by ""hand""`, 1)
	semicolons := strings.ReplaceAll(strings.ReplaceAll(table, ",", ";"), "gate; by", "gate, by")
	for name, text := range map[string]string{
		"with a mark": "\ufeff" + table, "of Windows": strings.ReplaceAll(table, "\n", "\r\n"), "semicolons": semicolons, "tabs": strings.ReplaceAll(strings.ReplaceAll(table, ",", "\t"), "gate\t by", "gate, by"),
		"in capitals": strings.Replace(table, "community,type", "Community, TYPE ", 1),
		"Chinese":     chinese, "Chinese of Excel": encode(simplifiedchinese.GBK, chinese), "GB18030": encode(simplifiedchinese.GB18030, chinese),
		"Unicode text": encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), table), "big endian": encode(unicode.UTF16(unicode.BigEndian, unicode.UseBOM), table),
		"columns that are ignored": strings.ReplaceAll(strings.Replace(table, "community,", "id,status,recorded,community,", 1), "\njiayuan", "\n01A,,2026-10-09T00:00:00Z,jiayuan"),
	} {
		got, _, err := types(t).ReadCSV(reader(), []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestReadCSVFields(t *testing.T) {
	c := reader()
	c.Community, c.Type = "jiayuan", "complaint"
	rows, past, err := types(t).ReadCSV(c, []byte("type,date,at,end,stream,device,until,item,by,about,attachments,replaces,kg,清运单位,destination,treatment,票号,energy_kwh_end,状态\n"+
		",2026-10-08,2026-10-08 09:00,2026/10/8 11:30,干垃圾,bin-1,2026.10.9,a/b,Li Na,满溢,1.jpg; sha256:"+strings.Repeat("AB", 32)+",01A,,,,,,,\n"+
		"清运联单,2026-10-08,2026-10-08T09:00:00+09:00,,food,,,,Li Na,,,,1250.5,环卫所,x,composting,0017,,\n"+
		"meter_replaced,2026-10-08,2026-10-08 09:00:30,,,meter-1,,,Li Na,,,,,,,,,12.5,\n"+
		"nonsense,,,,,,,,,,,,,,,,,,replaced\n"))
	if err != nil || len(rows) != 3 || past != 1 {
		t.Fatalf("%+v, %d past, %v", rows, past, err)
	}
	for i, want := range []string{
		"jiayuan complaint 2026-10-08 2026-10-09 01:00:00 03:30:00 residual bin-1 a/b map[] map[about:满溢] 2 [1.jpg] 01A",
		"jiayuan haul_ticket 2026-10-08 <nil> 00:00:00 <nil> food   map[kg:1250.5] map[carrier:环卫所 destination:x ticket:0017 treatment:composting] 0 [] ",
		"jiayuan meter_replaced 2026-10-08 <nil> 01:00:30 <nil>  meter-1  map[energy_kwh_end:12.5] map[] 0 [] ",
	} {
		r, clock := rows[i].Record, func(at *time.Time) string {
			if at == nil {
				return "<nil>"
			}
			return at.Format(time.TimeOnly)
		}
		got := fmt.Sprint(r.Community, " ", r.Type, " ", r.Date, " ", r.Until, " ", clock(r.At), " ", clock(r.End), " ", r.Stream, " ", r.Device, " ", r.Item, " ",
			map[string]float64(r.Values), " ", r.Texts, " ", len(r.Attachments), " ", rows[i].Files, " ", r.Replaces)
		if got != want {
			t.Errorf("row %d:\n%s, want\n%s", i+1, got, want)
		}
	}
	if hash := rows[0].Record.Attachments[1].SHA256; hash != strings.Repeat("ab", 32) {
		t.Errorf("the attachment that is kept already has the hash %s", hash)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	const head = "community,type,date,by,asked\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"a.csv: it is empty", "greentally record template"}},
		{"a header without names", ",,\n", []string{"a.csv:1: the first line must name the columns"}},
		{"a workbook", "PK\x03\x04\xff\xff\x80", []string{"a.csv: it is neither UTF-8 nor GB18030 text; save it as CSV"}},
		{"a column twice", "date,asked,日期,asked\n", []string{"a.csv:1: columns 1 and 3 are both date", "columns 2 and 4 are both asked"}},
		{"several lines", head + "jiayuan,survey,yesterday,李娜,200\njiayuan,survey,2026-10-08,,\njiayuan,survey,2026-10-08,Li Na,a lot\n", []string{
			`a.csv:2: date: "yesterday" is not a date`, "a.csv:3: by is missing", "a.csv:3: a survey needs the value asked", `a.csv:4: asked: "a lot" is not a number`,
		}},
		{"a type", head + "jiayuan,问卷,2026-10-08,李娜,200\n", []string{`a.csv:2: there is no type of record "问卷"; there are activity`}},
		{"no type", "community,date,by\njiayuan,2026-10-08,李娜\n", []string{`a.csv:2: there is no type of record ""`}},
		{"a value of another type", "community,type,date,by,asked,kg\njiayuan,survey,2026-10-08,李娜,200,7\n", []string{"a.csv:2: kg: a survey has no such value or text"}},
		{"too many cells", head + "jiayuan,survey,2026-10-08,李娜,200,7\n", []string{`a.csv:2: "7" is in column 6, which has no name`}},
		{"a row over lines", head + "\"jia\nyuan\",survey,2026-10-08,,200\njiayuan,survey,2026-10-08,,200", []string{"a.csv:2: by", "a.csv:4: by"}},
		{"a quotation mark", head + "jiayuan,survey,2026-10-08,李\"娜,200\n", []string{"a.csv:2: column 30: bare", "has each of them twice"}},
		{"a time", "community,type,date,by,about,at\njiayuan,complaint,2026-10-08,李娜,x,morning\n", []string{`a.csv:2: at: "morning" is not a time such as`}},
		{"a time of no place", "community,type,date,by,about,at\nnobody,complaint,2026-10-08,李娜,x,2026-10-08 09:00\n", []string{`a.csv:2: at: community "nobody"`}},
		{"no file", "community,type,date,by,asked,attachments\njiayuan,survey,2026-10-08,李娜,200,1.jpg;2.png\n", []string{"a.csv:2: attachments: 2.png"}},
		{"the same twice", head + "jiayuan,survey,2026-10-08,李娜,200\njiayuan,survey,2026-10-08,李娜,200\n", []string{"a.csv:3: leave this one out, or say in what it differs: it says the same as line 2"}},
		{"a ticket twice", "community,type,date,by,stream,kg,carrier,destination,treatment,ticket\njiayuan,haul_ticket,2026-10-08,李娜,food,1,a,b,composting,7\n\njiayuan,haul_ticket,2026-10-08,李娜,food,2,a,b,composting,7\n",
			[]string{`a.csv:4: ticket "7" is that of line 2`}},
		{"replaced twice", "community,type,date,by,asked,replaces\njiayuan,survey,2026-10-08,李娜,1,01A\njiayuan,survey,2026-10-08,李娜,2,01A\n", []string{"a.csv:3: record 01A is replaced by that of line 2"}},
	} {
		rows, _, err := types(t).ReadCSV(reader(), []byte(tt.text))
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v lacks %q", tt.name, err, want)
			}
		}
		if strings.HasPrefix(tt.name, "several") && len(rows) > 0 {
			t.Errorf("%s: rows %+v", tt.name, rows)
		}
	}
}

// A template of every type can be filled in, in both languages, and its example is not taken
// for a record.
func TestTemplates(t *testing.T) {
	all := types(t)
	for _, one := range all.All() {
		for language, by := range map[string]string{"zh": "示例", "en": "EXAMPLE"} {
			var out bytes.Buffer
			if err := all.WriteTemplate(&out, one.Name, language); err != nil {
				t.Fatal(err)
			}
			if _, _, err := all.ReadCSV(reader(), out.Bytes()); err == nil || !strings.Contains(err.Error(), "a.csv:2: this is the example") {
				t.Errorf("%s: the example: %v", one.Name, err)
			}
			rows, _, err := all.ReadCSV(reader(), bytes.Replace(out.Bytes(), []byte(","+by+","), []byte(",李娜,"), 1))
			if err != nil || len(rows) != 1 || rows[0].Record.Type != one.Name {
				t.Errorf("%s: %v, of\n%s", one.Name, err, out.String())
			}
			if chinese := strings.HasPrefix(out.String(), "\ufeff社区,类型,日期"); chinese != (language == "zh") {
				t.Errorf("the template in %s is\n%s", language, out.String())
			}
		}
	}
	if err := all.WriteTemplate(&bytes.Buffer{}, "call", "zh"); err == nil || !strings.Contains(err.Error(), `no type of record "call"; there are activity`) {
		t.Errorf("a template of no type: %v", err)
	}
}

func inForce(greentally.Record) string { return "" }

func TestWriteCSV(t *testing.T) {
	all := types(t)
	at := now
	until := audit().Date.Add(3)
	first, second := audit(), greentally.Record{ID: "01B", Community: "jiayuan", Type: "complaint", Date: audit().Date, Until: &until, At: &at, End: &at, By: "=1+1", Why: "a,\"b\"\nc",
		Texts: map[string]string{"about": "满溢"}, Values: greentally.Values{}, Attachments: []greentally.Attachment{{Name: "a.jpg", SHA256: strings.Repeat("ab", 32)}}}
	var out bytes.Buffer
	if err := records.WriteCSV(&out, []greentally.Record{first, second}, inForce); err != nil {
		t.Fatal(err)
	}
	rows, _, err := all.ReadCSV(reader(), out.Bytes())
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, of\n%s", err, out.String())
	}
	if strings.Contains(out.String(), ",=") || !strings.HasPrefix(out.String(), "\ufeff") {
		t.Errorf("Excel computes what is in it, or reads it as GBK: %s", out.String())
	}
	if first.ID, second.ID = "", ""; !same(rows[0].Record, first) || !same(rows[1].Record, second) {
		t.Errorf("got %+v, want %+v and %+v", rows, first, second)
	}
	out.Reset()
	if err := records.WriteCSV(&out, []greentally.Record{first}, func(greentally.Record) string { return "withdrawn" }); err != nil {
		t.Fatal(err)
	}
	if rows, past, err := all.ReadCSV(reader(), out.Bytes()); err != nil || len(rows) != 0 || past != 1 {
		t.Errorf("what was withdrawn: %+v, %d, %v", rows, past, err)
	}
}

// same compares what a table keeps of records.
func same(a, b greentally.Record) bool {
	text := func(r greentally.Record) string {
		r.Attachments = slices.Clone(r.Attachments)
		for i := range r.Attachments {
			r.Attachments[i] = greentally.Attachment{SHA256: r.Attachments[i].SHA256}
		}
		data, err := json.Marshal(r)
		return fmt.Sprint(string(data), err)
	}
	return text(a) == text(b)
}

// What is read is valid, and is the same when it is written and read again.
func FuzzReadCSV(f *testing.F) {
	all := types(f)
	f.Add([]byte(table))
	for _, one := range all.All() {
		var out bytes.Buffer
		if err := errors.Join(all.WriteTemplate(&out, one.Name, "zh"), all.WriteTemplate(&out, one.Name, "en")); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.ReplaceAll(out.Bytes(), []byte("示例"), []byte("李娜")))
	}
	f.Add([]byte("社区;类型;日期;填报人;调查人数;附件\njiayuan;问卷调查;2026/10/8;李娜;200;1.jpg;\n"))
	f.Add([]byte("\xff\xfea\x00,\x00b\x00\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, _, err := all.ReadCSV(reader(), data)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.HasPrefix(line, "a.csv:") {
					break
				}
				t.Errorf("error without the file: %q", line)
			}
		}
		var read []greentally.Record
		for _, row := range rows {
			if err := all.Validate(row.Record); err != nil {
				t.Errorf("line %d: %v", row.Line, err)
			}
			read = append(read, row.Record)
		}
		var out bytes.Buffer
		if err := records.WriteCSV(&out, read, inForce); err != nil {
			t.Fatal(err)
		}
		again, _, err := all.ReadCSV(reader(), out.Bytes())
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows of %d can be read again: %v\n%s", len(again), len(rows), err, out.String())
		}
		for i := range again {
			if !same(again[i].Record, read[i]) {
				t.Errorf("row %d is %+v, was %+v", i, again[i].Record, read[i])
			}
		}
	})
}
