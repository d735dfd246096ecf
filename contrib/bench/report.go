package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// printTable writes a line per scenario and side, and the ratio at B.
func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\tside\tCPU µs/request\tB/A\tspread\trequests/s\tp50 ms\tp99 ms\tpeak RSS MB\t")
	for _, r := range results {
		for i, s := range r.Sides {
			name, ratio, spread := r.Scenario, "", ""
			if i == 1 {
				name, ratio, spread = "", fmt.Sprintf("%.2f", r.Ratio), fmt.Sprintf("%.2f-%.2f", r.RatioMin, r.RatioMax)
			}
			fmt.Fprintf(t, "%s\t%s\t%.1f\t%s\t%s\t%.0f\t%.2f\t%.2f\t%.0f\t\n",
				name, s.Name, s.CPU, ratio, spread, s.RequestsPerSecond, s.P50, s.P99, float64(s.PeakRSS)/(1<<20))
		}
	}
	_ = t.Flush() // A terminal that is gone needs no table.
}
