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

// A machine may only be still starting if that may be so of each node that failed.
func TestResultMayPass(t *testing.T) {
	node := func(v gpucheck.Verdict, mayPass bool) Node {
		return Node{Report: gpucheck.Report{Verdict: v, MayPass: mayPass}}
	}
	passed, starting, broken := node(gpucheck.Passed, false), node(gpucheck.Failed, true), node(gpucheck.Failed, false)
	for _, c := range []struct {
		name  string
		nodes []Node
		want  bool
	}{
		{"none", nil, false},
		{"passed", []Node{passed}, false},
		{"starting", []Node{passed, starting}, true},
		{"broken", []Node{broken}, false},
		{"starting and broken", []Node{starting, broken}, false},
	} {
		if got := combine(c.nodes).MayPass(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
