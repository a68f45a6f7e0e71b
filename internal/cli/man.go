package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (t *tool) man() *cobra.Command {
	return &cobra.Command{
		Use: "man [directory]", Short: "Manual pages", Args: cobra.MaximumNArgs(1),
		Long: `Prints the manual page billet(1), or writes those of all verbs into a directory, which is made where there is none.

They are the same each time: their date is SOURCE_DATE_EPOCH of the environment, and none without it.`,
		Example: "  billet man | man -l -\n  billet man ~/.local/share/man/man1 && man billet-ssh",
		RunE: func(cmd *cobra.Command, args []string) error {
			date, err := t.pageDate()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				_, err := t.Out.WriteString(manPage(cmd.Root(), date, t.Version.Version))
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			pages := documented(cmd.Root())
			for _, of := range pages {
				if err := os.WriteFile(filepath.Join(args[0], pageName(of)+".1"), []byte(manPage(of, date, t.Version.Version)), 0o644); err != nil {
					return err
				}
			}
			t.note("%d pages are in %s.", len(pages), args[0])
			return nil
		},
	}
}

// pageDate is what pages say as their date; empty for none.
func (t *tool) pageDate() (string, error) {
	text := t.env("SOURCE_DATE_EPOCH")
	if text == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", usage("SOURCE_DATE_EPOCH %q is no number of seconds.", text)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// documented are a verb and all that are below it, but for those of cobra's own.
func documented(of *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{of}
	for _, below := range of.Commands() {
		if !below.Hidden && below.Deprecated == "" && below.Name() != "help" {
			all = append(all, documented(below)...)
		}
	}
	return all
}

func pageName(of *cobra.Command) string { return strings.ReplaceAll(of.CommandPath(), " ", "-") }

// manPage is the page of a verb, in the language of man(7).
func manPage(of *cobra.Command, date, version string) string {
	var b strings.Builder
	section := func(name string) { b.WriteString(".SH " + name + "\n") }
	b.WriteString(".TH " + strings.Join([]string{`"` + strings.ToUpper(pageName(of)) + `"`, "1", `"` + roff(date) + `"`, `"billet ` + roff(version) + `"`, `"Billet"`}, " ") + "\n.nh\n")
	section("NAME")
	b.WriteString(roff(pageName(of)) + ` \- ` + roff(of.Short) + "\n")
	section("SYNOPSIS")
	b.WriteString(".B " + roff(of.UseLine()) + "\n")
	section("DESCRIPTION")
	prose(&b, strings.TrimSpace(of.Long))
	if of.Long == "" {
		prose(&b, of.Short+".")
	}
	if len(of.Aliases) > 0 {
		prose(&b, "\nIt is also called "+strings.Join(of.Aliases, ", ")+".")
	}
	for _, group := range []struct {
		name  string
		flags *pflag.FlagSet
	}{{"OPTIONS", of.NonInheritedFlags()}, {`"OPTIONS OF ALL VERBS"`, of.InheritedFlags()}} {
		if group.flags.HasAvailableFlags() {
			section(group.name)
			group.flags.VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && f.Deprecated == "" {
					b.WriteString(flagLines(f))
				}
			})
		}
	}
	if of.Example != "" {
		section("EXAMPLES")
		b.WriteString(".EX\n")
		for line := range strings.Lines(of.Example) {
			b.WriteString(roff(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")) + "\n")
		}
		b.WriteString(".EE\n")
	}
	var also []string
	if of.HasParent() {
		also = append(also, pageName(of.Parent()))
	}
	for _, below := range of.Commands() {
		if slices.Contains(documented(of), below) {
			also = append(also, pageName(below))
		}
	}
	section(`"SEE ALSO"`)
	for i, name := range also {
		comma := ","
		if i == len(also)-1 {
			comma = ""
		}
		b.WriteString(".BR " + roff(name) + " (1)" + comma + "\n")
	}
	return b.String()
}

// flagLines are the lines of a flag.
func flagLines(f *pflag.Flag) string {
	value, text := pflag.UnquoteUsage(f)
	if value == "stringArray" || value == "strings" {
		value = "string"
	}
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	lines := ".TP\n.B " + roff(name)
	if value != "" {
		lines += ` \fI` + roff(value) + `\fR`
	}
	lines += "\n" + roff(text)
	if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "0s" && d != "[]" {
		lines += " (" + roff(d) + " where it is not given)"
	}
	return lines + "\n"
}

// prose writes paragraphs; lines that begin with four spaces stay as they are.
func prose(b *strings.Builder, text string) {
	literal := false
	turn := func(to bool) {
		switch {
		case to && !literal:
			b.WriteString(".RS 4\n.EX\n")
		case !to && literal:
			b.WriteString(".EE\n.RE\n.PP\n")
		}
		literal = to
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		rest, is := strings.CutPrefix(line, "    ")
		switch {
		case line == "" && !literal:
			b.WriteString(".PP\n")
		case line == "":
			b.WriteString("\n")
		default:
			turn(is)
			b.WriteString(roff(rest) + "\n")
		}
	}
	turn(false)
}

// roff is text in the language of man(7), where nothing of it is a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
