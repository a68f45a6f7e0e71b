package cli

import (
	"strconv"
	"time"

	"github.com/billetcloud/billet/client"
)

// column is a column of a list of T.
type column[T any] struct {
	// name is the API's field name, for CSV; empty for a column of tables only. head is the heading
	// in tables.
	name, head string
	// text returns the cell of a table; raw that of CSV. Nil raw means text.
	text, raw func(T) string
	// wide columns are in -o wide and csv only. right aligns the column to the right.
	wide, right bool
}

// onlyWide returns the column as a wide one.
func (c column[T]) onlyWide() column[T] {
	c.wide = true
	return c
}

// columnsOf starts a list of columns of T.
type columnsOf[T any] struct{}

func (columnsOf[T]) text(name, head string, of func(T) string) column[T] {
	return column[T]{name: name, head: head, text: of}
}

// number is a column of integers, with a unit in tables.
func (columnsOf[T]) number(name, head, unit string, of func(T) int) column[T] {
	raw := func(v T) string { return strconv.Itoa(of(v)) }
	return column[T]{name: name, head: head, right: true, raw: raw, text: func(v T) string { return raw(v) + unit }}
}

// optionalNumber is a column of integers that can be missing.
func (columnsOf[T]) optionalNumber(name, head string, of func(T) *int) column[T] {
	return column[T]{name: name, head: head, right: true, text: func(v T) string {
		if n := of(v); n != nil {
			return strconv.Itoa(*n)
		}
		return ""
	}}
}

// money is a column of amounts, which tables show as format does.
func (columnsOf[T]) money(name, head string, format func(client.Money) string, of func(T) client.Money) column[T] {
	return column[T]{
		name: name, head: head, right: true,
		text: func(v T) string { return format(of(v)) }, raw: func(v T) string { return of(v).Decimal() },
	}
}

// optionalPrice is a column of prices per hour that can be missing.
func (columnsOf[T]) optionalPrice(name, head string, of func(T) *client.Money) column[T] {
	formatted := func(format func(client.Money) string) func(T) string {
		return func(v T) string {
			if m := of(v); m != nil {
				return format(*m)
			}
			return ""
		}
	}
	return column[T]{name: name, head: head, right: true, text: formatted(hourly), raw: formatted(client.Money.Decimal)}
}

func (columnsOf[T]) time(name, head string, of func(T) time.Time) column[T] {
	return column[T]{
		name: name, head: head,
		text: func(v T) string { return localTime(of(v)) }, raw: func(v T) string { return rfc3339(of(v)) },
	}
}

func (columnsOf[T]) optionalTime(name, head string, of func(T) *time.Time) column[T] {
	return column[T]{
		name: name, head: head,
		text: func(v T) string { return optionalTime(of(v)) }, raw: func(v T) string { return optionalRFC3339(of(v)) },
	}
}

func (columnsOf[T]) yesNo(name, head string, of func(T) bool) column[T] {
	return column[T]{
		name: name, head: head,
		text: func(v T) string { return yesNo(of(v)) }, raw: func(v T) string { return strconv.FormatBool(of(v)) },
	}
}
