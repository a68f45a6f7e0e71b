package cli_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExitCodesAreDocumented checks that docs/cli.md and the help have the exit codes of the
// program.
func TestExitCodesAreDocumented(t *testing.T) {
	t.Parallel()
	numbers := func(file, pattern string) (all []string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(b, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return all
	}
	want := numbers("errors.go", `(?m)^\texit\w+ += (\d+)$`)
	if len(want) < 10 {
		t.Fatalf("found only the exit codes %v", want)
	}
	if diff := cmp.Diff(want, numbers("../../docs/cli.md", `(?m)^\| (\d+) \|`)); diff != "" {
		t.Errorf("docs/cli.md (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, numbers("errors.go", `(?m)^ {2,4}(\d+) {2,}\S`)); diff != "" {
		t.Errorf("help (-want +got):\n%s", diff)
	}
}
