package architecture_test

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documents returns what describes the repository: the pages and each package's comment.
func documents(t *testing.T) []file {
	t.Helper()
	var out []file
	for _, f := range allFiles(t) {
		switch {
		case path.Ext(f.path) == ".md":
			out = append(out, f)
		case path.Base(f.path) == "doc.go" && f.syntax.Doc != nil:
			f.text = f.syntax.Doc.Text()
			out = append(out, f)
		}
	}
	return out
}

var (
	link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	// repositoryPath is a path below one of the repository's directories.
	repositoryPath = regexp.MustCompile(
		`(?:^|[\s` + "`" + `("'])((?:internal|cmd|client|docs|test|web|scripts|packaging|tools)/[\w./*-]+|\.ci/\w+)`)
	// packageFile is a Go file of a package below internal/, such as deployment/reconcile.go.
	packageFile = regexp.MustCompile("(?:^|[\\s`(\"'])((?:[a-z0-9]+/)*[a-z0-9_]+\\.go)\\b")
	testName    = regexp.MustCompile(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)`)
	code        = regexp.MustCompile("(?s)```.*?```|`[^`]+`")
	makeTarget  = regexp.MustCompile("(?m)(?:^`?|^\\s*|; |&& )make ([a-z][a-z-]*)")
	command     = regexp.MustCompile("(?m)(?:^`?|^\\s*|; |&& |\\| )(?:\\./bin/)?(billet|billetd) ([a-z][a-z-]+)")
)

// absent are paths that exist only after a build or at another place.
var absent = regexp.MustCompile(`^(?:web/node_modules|internal/dashboard/dist|web/src/api/schema\.d\.ts)`)

func exists(rel string) bool {
	rel = strings.TrimRight(rel, ".:")
	if absent.MatchString(rel) {
		return true
	}
	if strings.Contains(rel, "*") {
		hits, err := filepath.Glob(filepath.Join(root, rel))
		return err == nil && len(hits) > 0
	}
	_, err := os.Stat(filepath.Join(root, rel))
	return err == nil
}

func TestPathsInDocumentsExist(t *testing.T) {
	seen, names := 0, map[string]bool{}
	for _, f := range allFiles(t) {
		names[path.Base(f.path)] = true
	}
	for _, f := range documents(t) {
		check := func(named string, candidates ...string) {
			seen++
			if !slices.ContainsFunc(candidates, exists) {
				t.Errorf("%s names %s, which does not exist; name the file that has it now", f.path, named)
			}
		}
		if path.Ext(f.path) == ".md" {
			for _, m := range link.FindAllStringSubmatch(f.text, -1) {
				if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
					check(m[1], path.Join(f.dir, m[1]))
				}
			}
		}
		for _, m := range repositoryPath.FindAllStringSubmatch(f.text, -1) {
			check(m[1], m[1], path.Join(f.dir, m[1]))
		}
		for _, m := range packageFile.FindAllStringSubmatch(f.text, -1) {
			if !strings.Contains(m[1], "/") {
				if seen++; !names[m[1]] {
					t.Errorf("%s names %s, which no directory has", f.path, m[1])
				}
			} else if !strings.HasPrefix(m[1], "internal/") {
				check(m[1], m[1], path.Join("internal", m[1]), path.Join(f.dir, m[1]),
					path.Join("internal/provider", m[1]))
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d paths were read", seen)
	}
}

func TestTestsInDocumentsExist(t *testing.T) {
	has := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, d := range f.syntax.Decls {
			if fn, is := d.(*ast.FuncDecl); is && f.test && fn.Recv == nil {
				has[fn.Name.Name] = true
			}
		}
	}
	seen := 0
	for _, f := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(f.text, -1) {
			seen++
			if !has[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", f.path, m[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d tests were read", seen)
	}
}

func TestCommandsInDocumentsExist(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(readFile(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	commands := map[string]map[string]bool{
		"billet":  cobraCommands(t, "internal/cli"),
		"billetd": cobraCommands(t, "cmd/billetd"),
	}
	seen := 0
	for _, f := range documents(t) {
		if path.Ext(f.path) != ".md" {
			continue
		}
		text := strings.Join(code.FindAllString(f.text, -1), "\n")
		for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
			seen++
			if !targets[m[1]] {
				t.Errorf("%s names `make %s`, which the Makefile lacks", f.path, m[1])
			}
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			seen++
			if !commands[m[1]][m[2]] {
				t.Errorf("%s names `%s %s`, which is no command", f.path, m[1], m[2])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d commands were read", seen)
	}
}

// cobraCommands returns the names and aliases of all commands that the package defines.
func cobraCommands(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{"help": true, "completion": true}
	for _, f := range goFiles(t) {
		if f.dir != dir || f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			// Any text may be a command's Use, because some are passed to a function.
			lit, is := n.(*ast.BasicLit)
			if !is {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil {
				word, _, _ := strings.Cut(text, " ")
				out[word] = true
			}
			return true
		})
	}
	return out
}

var proof = regexp.MustCompile("`([a-z0-9/]+)` ((?:Test|Fuzz)\\w+)")

// TestEveryGuaranteeHasItsTest holds each row of docs/guarantees.md against the tests: a
// guarantee whose test was renamed or deleted is proved by nothing.
func TestEveryGuaranteeHasItsTest(t *testing.T) {
	has := map[string]bool{}
	for _, f := range goFiles(t) {
		for _, d := range f.syntax.Decls {
			if fn, is := d.(*ast.FuncDecl); is && f.test && fn.Recv == nil {
				has[f.dir+" "+fn.Name.Name] = true
			}
		}
	}
	rows := 0
	for line := range strings.Lines(readFile(t, "docs/guarantees.md")) {
		header := strings.HasPrefix(line, "| Guarantee") || strings.HasPrefix(line, "| ---")
		if !strings.HasPrefix(line, "| ") || header {
			continue
		}
		rows++
		proofs := proof.FindAllStringSubmatch(line, -1)
		if len(proofs) == 0 {
			t.Errorf("no test proves: %s", line)
		}
		for _, p := range proofs {
			if !has[p[1]+" "+p[2]] {
				t.Errorf("%s has no test %s, which should prove: %s", p[1], p[2], line)
			}
		}
	}
	if rows < 20 {
		t.Errorf("only %d guarantees were read", rows)
	}
}

// listEntry is an entry of a list in a Go comment, with the lines that it continues in.
var listEntry = regexp.MustCompile(`(?m)^ +- ((?:.+\n?)(?: {4}.+\n?)*)`)

// TestInferredFactsAreDocumented checks that docs/providers.md repeats, word for word, each fact
// that an adapter infers about its cloud. Operators read them there.
func TestInferredFactsAreDocumented(t *testing.T) {
	plain := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	page, facts := plain(readFile(t, "docs/providers.md")), 0
	for _, f := range goFiles(t) {
		if path.Base(f.path) != "doc.go" || path.Dir(f.dir) != "internal/provider" || f.syntax.Doc == nil {
			continue
		}
		_, section, found := strings.Cut(f.syntax.Doc.Text(), "# Inferred\n")
		if !found {
			continue
		}
		section, _, _ = strings.Cut(section, "\n# ")
		for _, fact := range listEntry.FindAllStringSubmatch(section, -1) {
			facts++
			if !strings.Contains(page, plain(fact[1])) {
				t.Errorf("%s infers what docs/providers.md does not say: %s", f.path, plain(fact[1]))
			}
		}
	}
	if facts < 30 {
		t.Errorf("only %d facts were found; the lists have another form", facts)
	}
}
