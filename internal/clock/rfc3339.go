package clock

import (
	"regexp"
	"strings"
	"time"
)

// RFC 3339, 5.6: letters in either case, numbers of two digits, a zone within a day. time.Parse
// also accepts commas, single digits and +24:00.
var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// ParseRFC3339 parses a time exactly by RFC 3339. A leap second is the start of the next second, as
// in computers' clocks.
func ParseRFC3339(text string) (time.Time, bool) {
	if !timeForm.MatchString(text) {
		return time.Time{}, false
	}
	text = strings.ToUpper(text)
	leap := text[17:19] == "60"
	if leap {
		text = text[:17] + "59" + text[19:]
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false
	}
	if leap {
		// A leap second is only inserted at the end of a day.
		if u := t.UTC(); u.Hour() != 23 || u.Minute() != 59 {
			return time.Time{}, false
		}
		t = t.Truncate(time.Second).Add(time.Second)
	}
	return t, true
}
