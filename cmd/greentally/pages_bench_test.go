package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greentally"
	"greentally/simulator"
)

var pageDays = flag.Int("pages.days", 31, "days of readings that the community of BenchmarkPages has")

// manyDevices is the demo's community with so many times its estates.
func manyDevices(times int) []byte {
	estate := regexp.MustCompile(`\be([1-3])\b`)
	var out []string
	for line := range strings.Lines(string(simulator.DemoCommunity())) {
		out = append(out, line)
		if !strings.HasPrefix(line, "  - {id: e") {
			continue
		}
		for k := 1; k < times; k++ {
			out = append(out, estate.ReplaceAllStringFunc(line, func(id string) string {
				n, _ := strconv.Atoi(id[1:]) // a digit
				return fmt.Sprintf("e%d", n+3*k)
			}))
		}
	}
	return []byte(strings.Join(out, ""))
}

// BenchmarkPages asks the whole program for each page of a community with 500 devices and a month of
// readings, one after the other, while the devices go on. It tells the 95th percentile of how long
// an answer takes, and its size as it is sent.
func BenchmarkPages(b *testing.B) {
	s := newSite(b, manyDevices(7), "")
	s.start()
	file := s.dir + "/communities/community.yaml"
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	devices := len(regexp.MustCompile(`(?m)^  - \{id: [^}]*, kind: `).FindAll(manyDevices(7), -1))
	if devices < 500 {
		b.Fatalf("there are %d devices", devices)
	}
	from := time.Now().AddDate(0, 0, -*pageDays).Format(time.DateOnly)
	live := make(chan error, 1)
	go func() {
		live <- run(ctx, []string{"simulate", "--broker", "tcp://" + s.mqtt, "--community", file, "--from", from, "--live", "--batch", "36"}, nil, io.Discard, io.Discard)
	}()
	get := func(path string) (time.Duration, int) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, nil)
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip")
		start := time.Now()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("%s: %d %v %.300s", path, response.StatusCode, err, data)
		}
		return time.Since(start), len(data)
	}
	month := today(b).MonthOf()
	waitFor(b, 20*time.Minute, "the month to be sent and tallied", func() bool {
		select {
		case err := <-live:
			b.Fatalf("the simulator ended: %v", err)
		default:
		}
		behind, err := s.followers()
		var days []greentally.DeviceDay
		today := today(b).String()
		return err == nil && len(behind) >= 4 && slices.Max(slices.Collect(maps.Values(behind))) < 10 && // under steady traffic some are always on their way
			s.get("/api/v1/communities/jiayuan/devices/e21-s4-food/days?from="+today+"&to="+today, &days) == nil && len(days) == 1
	})
	for _, page := range []struct{ name, path string }{
		{"communities", "/"}, {"community", "/c/jiayuan"}, {"alerts", "/c/jiayuan/alerts"}, {"device", "/c/jiayuan/devices/e1-s1-food"},
		{"indicators", "/c/jiayuan/indicators?month=" + month.String()}, {"indicator", "/c/jiayuan/indicators/recyclable_capture?month=" + month.String()},
		{"indicator-device", "/c/jiayuan/indicators/recyclable_capture?month=" + month.String() + "&device=e1-s1-food"},
		{"records", "/c/jiayuan/records"}, {"reports", "/c/jiayuan/reports"}, {"screen", "/screen/jiayuan"},
	} {
		b.Run(page.name, func(b *testing.B) {
			var times []time.Duration
			size := 0
			for b.Loop() {
				took, bytes := get(page.path)
				times, size = append(times, took), bytes
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(times[len(times)-1].Microseconds())/1000, "max-ms")
			b.ReportMetric(float64(size)/1024, "KiB")
		})
	}
}
