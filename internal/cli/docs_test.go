package cli_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The page about the command line and the program tell the same exit codes.
func TestThePageHasTheExitCodes(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	numbers := func(pattern string, b []byte) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(b, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return all
	}
	onPage, told, made := numbers(`(?m)^\| (\d+) \|`, page), numbers(`(?m)^ {2,4}(\d+) {2,}\S`, source), numbers(`(?m)^\texit\w+ += (\d+)$`, source)
	if len(made) < 10 || !slices.Equal(onPage, made) || !slices.Equal(told, made) {
		t.Errorf("the page has %v, the help %v, the program %v", onPage, told, made)
	}
}
