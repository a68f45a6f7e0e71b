package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExchangeRateCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		var out strings.Builder
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append(append([]string{"invoices", "exchange-rates"}, args...), "--data-dir", dir))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	table := filepath.Join(dir, "rates.csv")
	if err := os.WriteFile(table, []byte("Date,USD,PLN\n2028-02-28,1.0961,4.3012\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		args []string
		want []string
	}{
		{[]string{"add", "--currency", "EUR", "--from", "2028-02-29", "--rate", "0.9123", "--source", "Bank"},
			[]string{"PER DOLLAR", "xr_eur20280229", "0.9123", "Bank"}},
		{[]string{"import", "--file", table, "--currency", "PLN", "--source", "ECB"}, []string{"DAYS", "2028-02-28"}},
		{[]string{"list"}, []string{"xr_eur20280229", "xr_pln20280228", "3.924095", "4.3012", "1.0961"}},
		{[]string{"list", "-o", "json"}, []string{`"dollars": "1.0961"`}},
		{[]string{"delete", "xr_pln20280228"}, []string{"xr_pln20280228"}},
	} {
		out, err := run(k.args...)
		for _, want := range k.want {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%v: %v, %s has no %s", k.args, err, out, want)
			}
		}
	}
	for _, k := range []struct {
		args []string
		want string
	}{
		{[]string{"add", "--currency", "EUR"}, "required flag(s)"},
		{[]string{"add", "--currency", "EUR", "--from", "today", "--rate", "1", "--source", "x"}, "rates[0].from"},
		{[]string{"import", "--file", table, "--source", "x"}, "no tax currency"},
		{[]string{"import", "--file", table + "x", "--currency", "PLN", "--source", "x"}, "no such file"},
		{[]string{"delete", "xr_pln20280228"}, "No exchange rate has this id"},
	} {
		if _, err := run(k.args...); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%v: got error %v, want %s", k.args, err, k.want)
		}
	}
}
