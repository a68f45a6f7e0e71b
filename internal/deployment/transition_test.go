package deployment

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
	var drawn []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " --> ") {
			drawn = append(drawn, strings.TrimSpace(line))
		}
	}
	var table []string
	for _, e := range transitions {
		table = append(table, fmt.Sprintf("//\t%-11s -- %-15s --> %s", e.from, e.cause, e.to))
	}
	if !slices.Equal(drawn, table) {
		t.Fatalf("doc.go draws\n%s\nthe table is\n%s", strings.Join(drawn, "\n"), strings.Join(table, "\n"))
	}
}

func TestTransitions(t *testing.T) {
	reached, left := map[Status]bool{StatusPending: true}, map[Status]bool{}
	seen := map[string]bool{}
	for _, e := range transitions {
		reached[e.to], left[e.from] = true, true
		if edge := string(e.from) + " " + string(e.cause); seen[edge] {
			t.Errorf("%s leads to two places", edge)
		} else {
			seen[edge] = true
		}
		if next, err := Next(e.from, e.cause); err != nil || next != e.to {
			t.Errorf("Next(%s, %s) = %s, %v", e.from, e.cause, next, err)
		}
	}
	for _, s := range Statuses {
		if !reached[s] {
			t.Errorf("%s is never reached", s)
		}
		if left[s] == s.Final() {
			t.Errorf("%s is final: %t, but left: %t", s, s.Final(), left[s])
		}
	}
	if len(reached) != len(Statuses) {
		t.Errorf("the table has a status that Statuses lacks: %v", reached)
	}
	if _, err := Next(StatusTerminated, CauseRequested); err == nil {
		t.Error("a final status was left")
	}
}
