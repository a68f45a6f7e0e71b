package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/billetcloud/billet/"

// A file is one source or text file of the repository.
type file struct {
	path, dir string // slash-separated, relative to the repository
	text      string
	test      bool      // a Go test
	syntax    *ast.File // nil unless it is Go
	positions *token.FileSet
}

func (f file) isGo() bool { return f.syntax != nil }

func (f file) isTypeScript() bool {
	return slices.Contains([]string{".ts", ".tsx", ".mjs", ".js"}, path.Ext(f.path))
}

const root = "../.."

var readTree = sync.OnceValues(func() ([]file, error) {
	var out []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && skipped(rel, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !isText(rel) {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f := file{path: rel, dir: path.Dir(rel), text: string(text), test: strings.HasSuffix(rel, "_test.go")}
		if path.Ext(rel) == ".go" {
			f.positions = token.NewFileSet()
			f.syntax, err = parser.ParseFile(f.positions, rel, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
		}
		out = append(out, f)
		return nil
	})
	return out, err
})

func skipped(rel, name string) bool {
	if strings.HasPrefix(name, ".") && name != ".github" && name != ".ci" {
		return true
	}
	return slices.Contains([]string{"node_modules", "data", "testdata", "dist", "bin", "tmp"}, name) ||
		rel == "web/src/api/generated"
}

// isText reports whether the file is written by hand: sources, documents, scripts, configuration,
// and nothing that a tool generates.
func isText(rel string) bool {
	generated := []string{"docs/openapi.json", "web/src/api/schema.d.ts"}
	if slices.Contains(generated, rel) || strings.Contains(path.Base(rel), "package-lock") {
		return false
	}
	if path.Base(rel) == "Makefile" || strings.HasPrefix(rel, "packaging/") || rel == ".ci/run" {
		return true
	}
	return slices.Contains([]string{".go", ".md", ".sql", ".sh", ".ts", ".tsx", ".mjs", ".js", ".css", ".html",
		".yml", ".yaml"}, path.Ext(rel))
}

func allFiles(t *testing.T) []file {
	t.Helper()
	out, err := readTree()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 500 {
		t.Fatalf("only %d files were read", len(out))
	}
	return out
}

func goFiles(t *testing.T) []file {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(allFiles(t)), func(f file) bool { return !f.isGo() })
}

func imports(f file) []string {
	var out []string
	for _, i := range f.syntax.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

func readFile(t *testing.T, rel string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, rel))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
