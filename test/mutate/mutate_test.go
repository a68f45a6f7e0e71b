package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sample = `package p

func Refund(charge, used int) (int, error) {
	if used < 0 {
		return 0, errNegative
	}
	total := charge
	total -= used
	log.Info("refund")
	return total + 1, nil
}
`

func TestMutationsOf(t *testing.T) {
	got, err := mutationsOf("p", "p/p.go", sample)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, m := range got {
		keys = append(keys, m.operator+": "+strings.TrimPrefix(m.key(), "p/p.go Refund: "))
	}
	want := []string{
		"negate condition: used < 0 → !(used < 0)",
		"swap operator: used < 0 → used <= 0",
		"change constant: 0 → (0 + 1)",
		"change constant: 0 → (0 + 1)",
		"drop statement: total -= used → (nothing)",
		"swap operator: total + 1 → total - 1",
		"change constant: 1 → (1 + 1)",
	}
	if !slices.Equal(keys, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(keys, "\n"), strings.Join(want, "\n"))
	}
	if changed := got[1].apply(sample); !strings.Contains(changed, "if used <= 0 {") {
		t.Errorf("apply: got\n%s", changed)
	}
}

func TestDrawIsRepeatable(t *testing.T) {
	all := make([]mutation, 50)
	for i := range all {
		all[i].line = i
	}
	if !slices.Equal(draw(all, 7), draw(all, 7)) {
		t.Error("the same seed draws another order")
	}
	if slices.Equal(draw(all, 7), draw(all, 8)) {
		t.Error("another seed draws the same order")
	}
}

const (
	larger = `package p

func Max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
`
	largerTest = `package p

import "testing"

func TestMax(t *testing.T) {
	if Max(2, 1) != 2 {
		t.Fail()
	}
}
`
)

// TestRun tries every mutation of a package whose only test misses one of its two branches.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example.com/p\n\ngo 1.26\n",
		"p/p.go":         larger,
		"p/p_test.go":    largerTest,
		"equivalent.txt": "# none\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := options{
		root:       dir,
		equivalent: filepath.Join(dir, "equivalent.txt"),
		packages:   []string{"p"},
		n:          10,
		workers:    1,
		minimum:    0.95,
	}
	var out strings.Builder
	err := run(t.Context(), o, &out)
	if err == nil || !strings.Contains(err.Error(), "50.0% killed") {
		t.Errorf("got %v, want that only half is killed\n%s", err, out.String())
	}
	for _, part := range []string{
		"survivor: p/p.go:4 (swap operator)", "p/p.go Max: a > b → a >= b", "2 mutations: 1 killed, 1 survived",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the report lacks %q:\n%s", part, out.String())
		}
	}

	reason := "p/p.go Max: a > b → a >= b # of two equal numbers either is the larger\n"
	if err := os.WriteFile(o.equivalent, []byte(reason), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run(t.Context(), o, &out); err != nil {
		t.Errorf("with the survivor listed as equivalent: %v\n%s", err, out.String())
	}
	o.only = regexp.MustCompile("p.go:4 negate")
	out.Reset()
	if err := run(t.Context(), o, &out); err != nil || !strings.Contains(out.String(), "1 mutations: 1 killed") {
		t.Errorf("only the other one: %v\n%s", err, out.String())
	}
}
