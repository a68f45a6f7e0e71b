package cli_test

import (
	"strings"
	"testing"
)

// A budget has one scope: a second flag for it is a mistake, and not dropped.
func TestBudgetCreateHasOneScope(t *testing.T) {
	t.Parallel()
	s := newShell(t, "60")
	for _, flags := range [][]string{
		{"--project", "llm", "--tag", "llm"}, {"--tag", "a", "--api-key", "key_1"},
	} {
		args := append([]string{"budgets", "create", "b", "--amount", "5"}, flags...)
		if out, _, code := s.run(args...); code == 0 {
			t.Errorf("%v: %s", flags, out)
		}
	}
	out, errs, code := s.run("budgets", "create", "b", "--amount", "500", "--period", "total", "--project", "llm")
	if code != 0 || !strings.Contains(out+errs, "$500.00 in total.") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}
