package cli

import (
	"context"
	"errors"
	"strings"

	"charm.land/huh/v2"
)

// choice is one of several things that a person can choose.
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
	err := t.form(ctx, huh.NewSelect[int]().Title(title).Options(options...).Height(min(len(from)+2, 16)).Value(&picked))
	return from[picked].value, err
}

// line asks for a line of text.
func (t *tool) line(ctx context.Context, title, usual string) (string, error) {
	text := usual
	err := t.form(ctx, huh.NewInput().Title(title).Value(&text).Validate(huh.ValidateNotEmpty()))
	return strings.TrimSpace(text), err
}

// form asks with a field. A terminal that cannot be drawn on, and ACCESSIBLE in the environment, get plain lines.
func (t *tool) form(ctx context.Context, field huh.Field) error {
	plain := t.env("ACCESSIBLE") != "" || t.env("TERM") == "dumb" || t.env("TERM") == ""
	err := huh.NewForm(huh.NewGroup(field)).WithInput(t.In).WithOutput(t.Err).WithAccessible(plain).WithShowHelp(!plain).RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return &fault{exitInterrupted, "INTERRUPTED", "nothing was done."}
	}
	return err
}
