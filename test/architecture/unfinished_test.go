package architecture_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// checkUnfinished reports the violations of one rule. found maps a directory to its violations.
// A directory listed in testdata/unfinished.txt may have some, and must have at least one.
// BILLET_SHOW_UNFINISHED=dir shows those of the listed directory, too.
func checkUnfinished(t *testing.T, rule string, found map[string][]string) {
	t.Helper()
	const list = "testdata/unfinished.txt"
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(strings.ReplaceAll(string(text), " ", "\x00"))
	if !slices.IsSorted(lines) {
		t.Errorf("%s is not sorted", list)
	}
	if len(slices.Compact(slices.Clone(lines))) != len(lines) {
		t.Errorf("%s lists an entry twice", list)
	}
	unfinished := map[string]bool{}
	for _, line := range lines {
		dir, of, _ := strings.Cut(line, "\x00")
		if of == rule {
			unfinished[dir] = true
		}
		if !slices.Contains([]string{"language", "length", "complexity"}, of) {
			t.Errorf("%s: %q names no rule; a line is a directory and language, length or complexity", list, of)
		}
	}
	if os.Getenv("BILLET_LIST_UNFINISHED") != "" {
		for dir := range found {
			fmt.Println("unfinished:", dir, rule)
		}
		return
	}
	shown := os.Getenv("BILLET_SHOW_UNFINISHED")
	for dir, violations := range found {
		if unfinished[dir] && dir != shown {
			continue
		}
		for i, v := range violations {
			if i == 20 && dir != shown {
				t.Errorf("… and %d more in %s; BILLET_SHOW_UNFINISHED=%s shows all", len(violations)-i, dir, dir)
				break
			}
			t.Error(v)
		}
	}
	for dir := range unfinished {
		if len(found[dir]) == 0 {
			t.Errorf("%s: delete the line %q: the directory follows the rule now", list, dir+" "+rule)
		}
	}
}
