package rack

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTransitionsMatchTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var drawn, table []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " --> ") {
			drawn = append(drawn, strings.TrimSpace(line))
		}
	}
	for _, e := range transitions {
		table = append(table, fmt.Sprintf("//\t%-11s -- %-11s --> %s", e.from, e.cause, e.to))
	}
	if !slices.Equal(drawn, table) {
		t.Fatalf("doc.go draws\n%s\nthe table is\n%s", strings.Join(drawn, "\n"), strings.Join(table, "\n"))
	}
}

func TestTransitions(t *testing.T) {
	reached, left := map[State]bool{Enrolled: true}, map[State]bool{}
	seen := map[string]bool{}
	for _, e := range transitions {
		reached[e.to], left[e.from] = true, true
		if edge := string(e.from) + " " + string(e.cause); seen[edge] {
			t.Errorf("%s leads to two states", edge)
		} else {
			seen[edge] = true
		}
		if !slices.Contains(Cause("").Enum(), e.cause) || !slices.Contains(States, e.from) ||
			!slices.Contains(States, e.to) {
			t.Errorf("an edge has a word that is not listed: %+v", e)
		}
		if next, ok := Next(e.from, e.cause); !ok || next != e.to {
			t.Errorf("Next(%s, %s) = %s, %t", e.from, e.cause, next, ok)
		}
	}
	for _, s := range States {
		if !reached[s] || !left[s] {
			t.Errorf("%s is reached: %t, and left: %t", s, reached[s], left[s])
		}
	}
}

// A machine that a tenant had can become ready again only by way of erasing.
func TestTheWayBackToReadyLeadsThroughErasing(t *testing.T) {
	open, seen := []State{Assigned}, map[State]bool{Assigned: true}
	for len(open) > 0 {
		at := open[0]
		open = open[1:]
		for _, e := range transitions {
			// An unerased machine is released by CauseErase: Service.Release chooses it.
			skips := e.from == Erasing && (e.cause == CauseErased || e.cause == CauseRetired) ||
				(e.from == Quarantined || e.from == Retired) && e.cause == CauseReleased
			if e.from == at && !skips && !seen[e.to] {
				seen[e.to] = true
				open = append(open, e.to)
			}
		}
	}
	if seen[Ready] {
		t.Errorf("ready is reached from assigned without an erasure: %v", seen)
	}
}
