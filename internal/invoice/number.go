package invoice

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
)

// wrongFormat returns what is wrong with a format of numbers, or "".
func wrongFormat(format string) string {
	rest := strings.Replace(strings.Replace(format, "{year}", "", 1), "{number}", "", 1)
	if !strings.Contains(format, "{year}") || !strings.Contains(format, "{number}") {
		return "must contain {year} and {number}: numbers begin again with each year."
	}
	if strings.Contains(format, "}{") {
		return "must have a character between {year} and {number}."
	}
	for _, r := range rest {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/._", r) {
			return "must consist of {year}, {number}, letters, digits and the characters - / . _"
		}
	}
	return ""
}

// numbered returns the number of a document in a year.
func numbered(format string, year int, n int64) string {
	return strings.NewReplacer("{year}", fmt.Sprintf("%04d", year), "{number}", fmt.Sprintf("%06d", n)).Replace(format)
}

// overlap reports whether two formats may give the same number, of up to a million in a year.
func overlap(a, b string) bool {
	digits := strings.NewReplacer("{year}", "####", "{number}", "######")
	a, b = digits.Replace(a), digits.Replace(b)
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		digit := strings.IndexByte("#0123456789", a[i]) >= 0 && strings.IndexByte("#0123456789", b[i]) >= 0
		if a[i] != b[i] && (!digit || a[i] != '#' && b[i] != '#') {
			return false
		}
	}
	return true
}

// parsed returns the year and the count of which the format gives the number, or false.
func parsed(format, number string) (year int, n int64, gives bool) {
	form := regexp.QuoteMeta(format)
	form = strings.Replace(form, `\{year\}`, `(?P<year>\d{4})`, 1)
	form = strings.Replace(form, `\{number\}`, `(?P<number>\d{6}|[1-9]\d{6,17})`, 1)
	r := regexp.MustCompile(`^` + form + `$`)
	found := r.FindStringSubmatch(number)
	if found == nil {
		return 0, 0, false
	}
	year, _ = strconv.Atoi(found[r.SubexpIndex("year")])
	n, _ = strconv.ParseInt(found[r.SubexpIndex("number")], 10, 64)
	return year, n, true
}

// like is a pattern of LIKE that matches each number of a format, and few others.
func like(format string) string {
	format = strings.ReplaceAll(format, "_", "!_")
	return strings.NewReplacer("{year}", "____", "{number}", "______%").Replace(format)
}

// takenFormats returns what is wrong with formats that give a number which a document has: any of
// the other series, or one of the same series whose turn is still to come.
func takenFormats(ctx context.Context, tx *db.Tx, set Settings) (errs []apierr.FieldError, err error) {
	for _, f := range []struct {
		field, format string
		series        Type
	}{{"numberFormat", set.NumberFormat, Invoice}, {"creditNoteFormat", set.CreditNoteFormat, CreditNote}} {
		taken, err := findNumber(ctx, tx, like(f.format), func(s Summary, sequence int64) bool {
			year, n, gives := parsed(f.format, s.Number)
			return gives && (s.Type != f.series || year >= tx.Now.UTC().Year() && n > sequence)
		})
		if err != nil {
			return nil, err
		}
		if taken != "" {
			errs = append(errs, apierr.FieldError{Field: f.field, Message: fmt.Sprintf("can give the number %s, "+
				"which a document has already. Choose another format, such as one with other letters.", taken)})
		}
	}
	return errs, nil
}
