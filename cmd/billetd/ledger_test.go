package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/money"
)

// TestLedgerVerify_namesChangedRow verifies a database that another process has open, and a copy of
// it in which an amount was changed.
func TestLedgerVerify_namesChangedRow(t *testing.T) {
	t.Parallel()
	cfg := app.Default()
	cfg.DataDir = t.TempDir()
	o, err := app.OpenOperator(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	a, err := o.CreateAccount(t.Context(), "Acme", money.Dollars(100))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(dir string, args ...string) (string, error) {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"ledger", "verify", "--data-dir", dir}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := verify(cfg.DataDir); err != nil ||
		!strings.HasPrefix(out, "No problem in 1 transaction of 1 account, and 0 signed days.") {
		t.Errorf("ledger verify beside another process: %q, %v", out, err)
	}
	copied := t.TempDir()
	file := filepath.Join(copied, "billet.db")
	if _, err := o.DB.Handle().ExecContext(t.Context(), `VACUUM INTO '`+file+`'`); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(copied); err != nil {
		t.Errorf("ledger verify on a copy: %q, %v", out, err)
	}
	if made, err := os.ReadDir(copied); err != nil || len(made) != 1 {
		t.Errorf("ledger verify left files beside the copy: %v, %v", made, err)
	}
	if _, err := o.DB.Handle().ExecContext(t.Context(),
		`UPDATE wallet_transaction SET description = 'Paid' WHERE account_id = $1`, string(a.ID)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"-o", "json"}} {
		out, err := verify(cfg.DataDir, args...)
		if err == nil || !strings.Contains(err.Error(), "1 problem in 1 transaction") ||
			!strings.Contains(out, string(a.ID)) || !strings.Contains(out, "its hash does not match") {
			t.Errorf("ledger verify %v of a changed ledger: %q, %v", args, out, err)
		}
	}
	if _, err := verify(t.TempDir()); err == nil {
		t.Error("ledger verify of an empty directory succeeds")
	}
}

// A verification of a directory whose server has stopped leaves no files in it.
func TestLedgerVerify_leavesNoFiles(t *testing.T) {
	cfg := app.Config{DataDir: t.TempDir()}
	o, err := app.OpenOperator(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	names := func() (all []string) {
		entries, err := os.ReadDir(cfg.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	before := names()
	cmd := root()
	cmd.SetOut(new(bytes.Buffer))
	cmd.SetArgs([]string{"ledger", "verify", "--data-dir", cfg.DataDir})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("%v before, %v after", before, after)
	}
}
