package version

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// unknown is the version of a build without a record.
const unknown = "dev"

// Info describes a build.
type Info struct {
	// Version is the tag, such as v0.1.0, or for an untagged commit a pseudo-version that sorts
	// after the tag before it.
	Version string `json:"version"`
	// Commit is the hexadecimal revision: all of it from a checkout, 12 digits of a pseudo-version,
	// "" if only a tag is known.
	Commit string `json:"commit"`
	// Date is the commit's time, RFC 3339 in UTC, or "" like Commit. It is no build time: the same
	// commit gives the same bytes.
	Date string `json:"date"`
	// Go is the toolchain that built it; OS and Arch are its target.
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Modified is true if the files differed from the commit.
	Modified bool `json:"modified"`
}

// Get returns the record of this program.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return of(build)
}

// pseudo returns the time and the commit in a pseudo-version.
var pseudo = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(?:\+|$)`)

// of reads the toolchain's record, which is nil in a program without one.
func of(build *debug.BuildInfo) Info {
	i := Info{Version: unknown, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if build == nil {
		return i
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		i.Version, i.Modified = v, strings.HasSuffix(v, "+dirty")
	}
	if found := pseudo.FindStringSubmatch(i.Version); found != nil {
		if t, err := time.Parse("20060102150405", found[1]); err == nil {
			i.Commit, i.Date = found[2], t.Format(time.RFC3339)
		}
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.time":
			i.Date = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		}
	}
	return i
}

// String returns one line for display: v0.1.0 (commit 06f880f, 2026-11-24, go1.26.8 linux/amd64).
func (i Info) String() string {
	var said []string
	if i.Commit != "" {
		said = append(said, "commit "+i.Commit[:min(7, len(i.Commit))])
	}
	if i.Date != "" {
		said = append(said, i.Date[:min(len(time.DateOnly), len(i.Date))])
	}
	if i.Modified {
		said = append(said, "modified")
	}
	said = append(said, i.Go+" "+i.OS+"/"+i.Arch)
	return i.Version + " (" + strings.Join(said, ", ") + ")"
}

// Write writes the output of `version` of the command called name. The format is "text" or "json";
// the error for any other is for the user.
func (i Info) Write(w io.Writer, name, format string) error {
	switch format {
	case "text":
		_, err := fmt.Fprintln(w, name, i)
		return err
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(i)
	}
	return fmt.Errorf("-o %q must be text or json", format)
}
