package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"charm.land/huh/v2"
	"github.com/charmbracelet/colorprofile"
)

// choice is an entry of a selection prompt.
type choice[T any] struct {
	label string
	value T
}

// choose prompts for one of several values. A single value is chosen without a prompt.
func choose[T any](ctx context.Context, t *tool, title string, from []choice[T]) (T, error) {
	if len(from) == 1 {
		return from[0].value, nil
	}
	options := make([]huh.Option[int], len(from))
	for i, c := range from {
		options[i] = huh.NewOption(clean(c.label), i)
	}
	chosen := 0
	question := huh.NewSelect[int]().Title(title).Options(options...).Height(min(len(from)+2, 16)).Value(&chosen)
	// Typing filters the list. The filter line replaces the field's own title, so the title is the
	// group's.
	err := t.form(ctx, title+" Type to filter, arrows to move, Enter to choose.", question,
		func() { question.Filtering(true) })
	return from[chosen].value, err
}

// line prompts for a line of text, with a default.
func (t *tool) line(ctx context.Context, title, defaultText string) (string, error) {
	text := defaultText
	err := t.form(ctx, "", huh.NewInput().Title(title).Value(&text).Validate(huh.ValidateNotEmpty()), func() {})
	return strings.TrimSpace(text), err
}

// form prompts with a field. A terminal without cursor control, or ACCESSIBLE in the environment,
// gets plain lines. Others get the title above the field, and the field as draw changes it.
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
		return aborted()
	}
	return err
}

// lines prompts line by line. huh takes an end of input for the first answer and does not handle
// Ctrl-C in this mode, so both are handled here.
func (t *tool) lines(ctx context.Context, form *huh.Form) error {
	in := &eofReader{Reader: t.In}
	answered := make(chan error, 1)
	go func() {
		out := colorprofile.NewWriter(t.Err, t.Env)
		err := form.WithAccessible(true).WithShowHelp(false).WithInput(in).WithOutput(out).RunWithContext(ctx)
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
	return aborted()
}

func aborted() error { return &cliError{exitInterrupted, "INTERRUPTED", "canceled; nothing was done."} }

// eofReader records whether its input has ended.
type eofReader struct {
	io.Reader
	ended bool
}

// Read implements io.Reader.
func (u *eofReader) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	u.ended = u.ended || err != nil
	return n, err
}
