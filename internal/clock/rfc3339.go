package clock

import (
	"regexp"
	"strings"
	"time"
)

// RFC 3339, 5.6: its letters in either case, its numbers of two digits, and a zone within a day. time.Parse takes commas, single digits and +24:00, too.
var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// ParseRFC3339 reads a time exactly as RFC 3339 writes it, for every surface that takes one. A leap second is the beginning of the next one, as clocks of computers have it.
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
		if u := t.UTC(); u.Hour() != 23 || u.Minute() != 59 { // it is put in at the end of a day only
			return time.Time{}, false
		}
		t = t.Truncate(time.Second).Add(time.Second)
	}
	return t, true
}
