package postgres

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/billetcloud/billet/internal/secreturl"
	"github.com/jackc/pgx/v5"
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

// Name returns the server and the database of a URL, such as db.example.com/billet, and nothing of
// its user, password and settings.
func Name(url string) string {
	if CheckURL(url) != nil {
		return "with an invalid URL"
	}
	c, err := pgx.ParseConfig(url) // with what the URL leaves to the environment
	if err != nil {
		return "with an invalid URL"
	}
	if c.Database == "" {
		c.Database = c.User // as PostgreSQL has it
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
}
