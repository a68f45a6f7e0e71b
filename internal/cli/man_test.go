package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/version"
)

// TestMan checks that every command has a reproducible manual page, and every shell a completion
// script.
func TestMan(t *testing.T) {
	t.Parallel()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	run := func(args ...string) int {
		return Main(
			t.Context(),
			System{
				In:      out,
				Out:     out,
				Err:     out,
				Env:     []string{"SOURCE_DATE_EPOCH=86400"},
				Version: version.Info{Version: "1.0"},
			},
			args,
		)
	}
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "new")
	if run("man", first) != exitOK || run("man", second) != exitOK {
		t.Fatal("man failed")
	}
	commands := documentedCommands((&tool{}).root())
	if files, _ := os.ReadDir(first); len(files) != len(commands) || len(commands) < 20 {
		t.Errorf("got %d pages for %d commands", len(files), len(commands))
	}
	for _, c := range commands {
		page, err := os.ReadFile(filepath.Join(first, pageName(c)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := os.ReadFile(filepath.Join(second, pageName(c)+".1"))
		if err != nil || string(again) != string(page) {
			t.Errorf("the page of %s is not reproducible: %v", c.CommandPath(), err)
		}
		for _, want := range []string{`"1970\-01\-02" "billet 1.0"`, roff(c.Short), "\n.B " + roff(c.CommandPath())} {
			if !strings.Contains(string(page), want) {
				t.Errorf("the page of %s lacks %q", c.CommandPath(), want)
			}
		}
	}

	// Macros in a text are escaped.
	var b strings.Builder
	prose(&b, ".TH no\n\n    'so \\ it\n\nand - \"more\"")
	want := "\\&.TH no\n.PP\n.RS 4\n.EX\n\\&'so \\e it\n\n.EE\n.RE\n.PP\nand \\- \\(dqmore\\(dq\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}

	for _, shell := range shells {
		if err := out.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if code := run("completion", shell); code != exitOK {
			t.Errorf("%s: %d", shell, code)
		}
		if b, err := os.ReadFile(out.Name()); err != nil || !strings.Contains(string(b), "__complete") {
			t.Errorf("%s: %v %s", shell, err, b)
		}
	}
}
