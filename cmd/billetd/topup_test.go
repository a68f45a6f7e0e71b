package main

import (
	"strings"
	"testing"
)

// runTopUps runs a command about top-ups on a data directory, and returns what it prints.
func runTopUps(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(append([]string{"top-ups"}, args...), "--data-dir", dir))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTopUpCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := runTopUps(t, dir, "list", "--status", "pending", "--reference", "RF18 ABCD EFGH")
	if err != nil || !strings.HasPrefix(out, "ID ") || !strings.Contains(out, "PROBLEM") {
		t.Errorf("list: %v %s", err, out)
	}
	for _, k := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "--status", "paid"}, "--status must be one of [pending succeeded"},
		{[]string{"confirm", "top_1", "--reference", "x"}, `required flag(s) "amount"`},
		{[]string{"confirm", "top_1", "--amount", "0", "--reference", "x"}, "--amount must be an amount in US dollars"},
		{[]string{"confirm", "top_1", "--amount", "5", "--reference", "x"}, "No top-up has this id"},
		{[]string{"refund", "top_1", "--amount", "-5", "--reason", "x"}, "--amount must be an amount in US dollars"},
		{[]string{"refund", "top_1", "--amount", "5", "--reason", "x"}, "No top-up has this id"},
		{[]string{"close", "top_1", "--reason", "x"}, "No top-up has this id"},
		{[]string{"close", "--reason", "x"}, "expected one argument"},
	} {
		if _, err := runTopUps(t, dir, k.args...); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%v: got error %v, want %s", k.args, err, k.want)
		}
	}
}
