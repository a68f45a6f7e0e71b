package postgres

import (
	"errors"
	"fmt"

	"github.com/billetcloud/billet/internal/secreturl"
)

// errURL hides the driver's text, which may hold the password.
var errURL = errors.New("the database URL has a setting that PostgreSQL's URLs do not have, or a value that it cannot have")

// CheckURL tells what is wrong with the form of a database URL, without any part of it.
func CheckURL(url string) error {
	if _, err := secreturl.Parse(url, "postgres", "postgresql"); err != nil {
		return fmt.Errorf("the database URL %w", err)
	}
	return nil
}
