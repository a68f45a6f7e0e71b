package announcement

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/apierr"
)

// set overwrites a value that the change has.
func set[T any](value *T, by *T) {
	if by != nil {
		*value = *by
	}
}

// with returns the announcement after the change.
func (a Announcement) with(c Draft) Announcement {
	set(&a.Title, c.Title)
	set(&a.Level, c.Level)
	set(&a.StartsAt, c.StartsAt)
	set(&a.EndsAt, c.EndsAt)
	set(&a.Provider, c.Provider)
	set(&a.Region, c.Region)
	set(&a.Banner, c.Banner)
	set(&a.Mail, c.Mail)
	if c.Text != nil {
		a.Text = strings.TrimRight(strings.ReplaceAll(*c.Text, "\r\n", "\n"), "\n ")
	}
	return a
}

// check returns everything that is wrong with the announcement as it is after a change, at
// ChangedAt. A provider that is gone since is no fault of another change, such as the end.
func (a Announcement) check(before Announcement, places map[string][]string) []apierr.FieldError {
	faults := apierr.CheckName("title", a.Title)
	add := func(field, wrong string) {
		if wrong != "" {
			faults = append(faults, apierr.FieldError{Field: field, Message: wrong})
		}
	}
	add("text", checkText(a.Text))
	if !slices.Contains(a.Level.Enum(), a.Level) {
		add("level", "must be info, warning or critical.")
	}
	switch {
	case a.EndsAt.IsZero():
		add("endsAt", "is required: every announcement has an end.")
	case before.ChangedAt.IsZero() && !a.EndsAt.After(a.ChangedAt):
		add("endsAt", "must be in the future.")
	case !a.EndsAt.After(a.StartsAt):
		add("endsAt", "must be after startsAt.")
	case a.EndsAt.Sub(a.StartsAt) > maxLength:
		add("endsAt", "must be within a year of startsAt.")
	}
	if !a.Banner && !a.Mail {
		add("banner", "must be true if mail is false: the announcement would reach no one.")
	}
	if a.Provider != before.Provider || a.Region != before.Region {
		add("provider", checkProvider(a.Provider, places))
		add("region", checkRegion(a.Provider, a.Region, places))
	}
	return faults
}

// checkText returns what is wrong with a text of several lines.
func checkText(text string) string {
	if n := utf8.RuneCountInString(text); n > maxText {
		return fmt.Sprintf("has %d characters; at most %d are allowed.", n, maxText)
	}
	lines := strings.Split(text, "\n")
	if len(lines) > maxLines {
		return fmt.Sprintf("has %d lines; at most %d are allowed.", len(lines), maxLines)
	}
	for _, line := range lines {
		if wrong := apierr.Hidden(line); wrong != "" {
			return wrong
		}
	}
	return ""
}

func checkProvider(slug string, places map[string][]string) string {
	if _, known := places[slug]; slug == "" || known {
		return ""
	}
	return oneOf(slices.Sorted(maps.Keys(places)))
}

func checkRegion(provider, region string, places map[string][]string) string {
	switch {
	case region == "" || slices.Contains(places[provider], region):
		return ""
	case provider == "":
		return "needs a provider: set provider, or leave the region empty."
	default:
		return oneOf(places[provider])
	}
}

func oneOf(known []string) string {
	if len(known) == 0 {
		return "must be empty: there is none."
	}
	return "must be empty or one of " + strings.Join(known, ", ") + "."
}

// notices returns what is shown of those that are for everyone, or for which mine is true: the most
// important first, then the newest.
func notices(all []Announcement, mine func(Announcement) bool) []Notice {
	out := []Notice{}
	for _, a := range all {
		if a.Provider == "" || mine(a) {
			out = append(out, a.Notice)
		}
	}
	levels := Level("").Enum()
	slices.SortStableFunc(out, func(a, b Notice) int {
		return slices.Index(levels, b.Level) - slices.Index(levels, a.Level)
	})
	return out
}
