package bench

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// throughput begins to count. What it returns reports how many readings there were for each
// second, and for each second of one core, that of a server included where there is one.
func throughput(b *testing.B, serverCPU func() float64) (report func(readings int)) {
	own, server := processCPU(b), serverCPU()
	return func(readings int) {
		own, server := processCPU(b)-own, serverCPU()-server
		n := float64(readings)
		b.ReportMetric(n/b.Elapsed().Seconds(), "readings/s")
		b.ReportMetric(n/own, "readings/s/core")
		if server > 0 {
			b.ReportMetric(n/(own+server), "readings/s/core-with-server")
		}
	}
}

// processCPU returns the CPU seconds that this process has used.
func processCPU(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// influxdCPU returns the CPU seconds that influxd says it has used.
func influxdCPU(b *testing.B, url string) float64 {
	response, err := http.Get(url + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil {
				b.Fatal(err)
			}
			return seconds
		}
	}
	b.Fatal("influxd does not say how much CPU time it has used")
	return 0
}

// settle waits until the server has done what it still does in the background after it
// was filled, at most some minutes.
func settle(serverCPU func() float64) {
	for range 60 {
		before := serverCPU()
		time.Sleep(2 * time.Second)
		if serverCPU()-before < 0.2 {
			return
		}
	}
}
