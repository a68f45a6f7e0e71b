package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"charm.land/huh/v2"
	"github.com/charmbracelet/colorprofile"
)

// choice is one of several things that a user can choose.
type choice[T any] struct {
	label string
	value T
}

// choose asks for one of several things. One is chosen by itself.
func choose[T any](ctx context.Context, t *tool, title string, from []choice[T]) (T, error) {
	if len(from) == 1 {
		return from[0].value, nil
	}
	options := make([]huh.Option[int], len(from))
	for i, c := range from {
		options[i] = huh.NewOption(clean(c.label), i)
	}
	picked := 0
	question := huh.NewSelect[int]().Title(title).Options(options...).Height(min(len(from)+2, 16)).Value(&picked)
	// What is typed narrows the list down. The line for it takes the place of the field's title.
	err := t.form(ctx, title+" Type to filter, arrows to move, Enter to choose.", question, func() { question.Filtering(true) })
	return from[picked].value, err
}

// line asks for a line of text.
func (t *tool) line(ctx context.Context, title, usual string) (string, error) {
	text := usual
	err := t.form(ctx, "", huh.NewInput().Title(title).Value(&text).Validate(huh.ValidateNotEmpty()), func() {})
	return strings.TrimSpace(text), err
}

// form asks with a field. A terminal that cannot be drawn on, and ACCESSIBLE in the environment, get plain lines; others
// get the title above it, and the field as draw makes it.
func (t *tool) form(ctx context.Context, title string, field huh.Field, draw func()) error {
	group := huh.NewGroup(field)
	form := huh.NewForm(group)
	if t.env("ACCESSIBLE") != "" || t.env("TERM") == "dumb" || t.env("TERM") == "" {
		return t.lines(ctx, form)
	}
	group.Title(title)
	draw()
	err := form.WithInput(t.In).WithOutput(t.Err).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return gaveUp()
	}
	return err
}

// lines asks line by line. Such a form knows neither Ctrl-C nor the end of the input, which it takes for the first answer.
func (t *tool) lines(ctx context.Context, form *huh.Form) error {
	in := &untilEnd{Reader: t.In}
	answered := make(chan error, 1)
	go func() {
		err := form.WithAccessible(true).WithShowHelp(false).WithInput(in).WithOutput(colorprofile.NewWriter(t.Err, t.Env)).RunWithContext(ctx)
		if in.ended {
			err = huh.ErrUserAborted
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		if !errors.Is(err, huh.ErrUserAborted) {
			return err
		}
	case <-ctx.Done():
	}
	t.note("")
	return gaveUp()
}

func gaveUp() error { return &fault{exitInterrupted, "INTERRUPTED", "nothing was done."} }

// untilEnd remembers that what it reads has ended.
type untilEnd struct {
	io.Reader
	ended bool
}

// Read reads.
func (u *untilEnd) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	u.ended = u.ended || err != nil
	return n, err
}
