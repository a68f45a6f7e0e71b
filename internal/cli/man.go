package cli

import (
	"fmt"
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
		Use: "man [directory]", Short: "Generate manual pages", Args: cobra.MaximumNArgs(1),
		Long: `Prints the manual page billet(1), or writes the pages of all commands into a
directory, which is created if necessary.

The output is reproducible: the pages have the date of the environment variable SOURCE_DATE_EPOCH,
or none.`,
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
			pages := documentedCommands(cmd.Root())
			for _, c := range pages {
				page := []byte(manPage(c, date, t.Version.Version))
				if err := os.WriteFile(filepath.Join(args[0], pageName(c)+".1"), page, 0o644); err != nil {
					return err
				}
			}
			t.note("Wrote %d pages to %s.", len(pages), args[0])
			return nil
		},
	}
}

// pageDate returns the date of the pages, or "" for none.
func (t *tool) pageDate() (string, error) {
	text := t.env("SOURCE_DATE_EPOCH")
	if text == "" {
		return "", nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", usageError("SOURCE_DATE_EPOCH must be a number of seconds, not %q.", text)
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
}

// documentedCommands returns a command and its documented subcommands.
func documentedCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Deprecated == "" && sub.Name() != "help" {
			all = append(all, documentedCommands(sub)...)
		}
	}
	return all
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage returns the manual page of a command, in the macros of man(7).
func manPage(cmd *cobra.Command, date, version string) string {
	var b strings.Builder
	section := func(name string) { b.WriteString(".SH " + name + "\n") }
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"billet %s\" \"Billet\"\n.nh\n",
		strings.ToUpper(pageName(cmd)), roff(date), roff(version))
	section("NAME")
	b.WriteString(roff(pageName(cmd)) + ` \- ` + roff(cmd.Short) + "\n")
	section("SYNOPSIS")
	b.WriteString(".B " + roff(cmd.UseLine()) + "\n")
	section("DESCRIPTION")
	prose(&b, strings.TrimSpace(cmd.Long))
	if cmd.Long == "" {
		prose(&b, cmd.Short+".")
	}
	if len(cmd.Aliases) > 0 {
		prose(&b, "\nAliases: "+strings.Join(cmd.Aliases, ", ")+".")
	}
	for _, group := range []struct {
		name  string
		flags *pflag.FlagSet
	}{{"OPTIONS", cmd.NonInheritedFlags()}, {`"GLOBAL OPTIONS"`, cmd.InheritedFlags()}} {
		if group.flags.HasAvailableFlags() {
			section(group.name)
			group.flags.VisitAll(func(f *pflag.Flag) {
				if !f.Hidden && f.Deprecated == "" {
					b.WriteString(flagLines(f))
				}
			})
		}
	}
	if cmd.Example != "" {
		section("EXAMPLES")
		b.WriteString(".EX\n")
		for line := range strings.Lines(cmd.Example) {
			b.WriteString(roff(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")) + "\n")
		}
		b.WriteString(".EE\n")
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, pageName(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if slices.Contains(documentedCommands(cmd), sub) {
			also = append(also, pageName(sub))
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

// flagLines returns the lines for a flag.
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
		lines += " (default " + roff(d) + ")"
	}
	return lines + "\n"
}

// prose writes paragraphs. Lines that start with four spaces are examples.
func prose(b *strings.Builder, text string) {
	literal := false
	switchTo := func(to bool) {
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
			switchTo(is)
			b.WriteString(roff(rest) + "\n")
		}
	}
	switchTo(false)
}

// roff escapes text for man(7), so that none of it is a macro.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
