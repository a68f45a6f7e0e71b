package health

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// What is kept of a node's report is bounded, whatever its tenant prints.
func TestNodeKeepsAShortReport(t *testing.T) {
	for expected, want := range map[int]int{0: 16, 8: 16, 72: 72} {
		r := gpucheck.Report{Verdict: gpucheck.Passed, GPUs: make([]gpucheck.GPU, 128)}
		for i := range r.GPUs {
			long := strings.Repeat("é", 120)
			r.GPUs[i] = gpucheck.GPU{Model: long, UUID: long, Serial: long, BusID: long}
		}
		var n Node
		n.take(r, expected)
		if len(n.GPUs) != want {
			t.Errorf("%d GPUs, want %d", len(n.GPUs), want)
		}
		for _, g := range n.GPUs {
			for _, text := range []string{g.Model, g.UUID, g.Serial, g.BusID} {
				if len([]rune(text)) != 64 || !strings.HasSuffix(text, "é…") {
					t.Fatalf("%q", text)
				}
			}
		}
	}
}
