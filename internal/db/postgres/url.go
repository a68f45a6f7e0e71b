package postgres

import (
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/secreturl"
)

// errURL replaces the driver's text, which may contain the password.
var errURL = errors.New("the database URL has an unknown setting, or an invalid value")

// CheckURL returns what is wrong with the form of a database URL, without any part of it.
func CheckURL(url string) error {
	if _, err := secreturl.Parse(url, "postgres", "postgresql"); err != nil {
		return fmt.Errorf("the database URL %w", err)
	}
	return nil
}
