package cli_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"
)

// pay waits until another process has written the address of a simulated payment page to the file,
// and presses a button of the page.
func pay(file, action string) error {
	address := regexp.MustCompile(`http://\S+/pay/demo/\w+`)
	for deadline := time.Now().Add(time.Minute); ; {
		b, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if page := address.Find(b); page != nil {
			answer, err := http.PostForm(string(page), url.Values{"action": {action}, "card": {"4242"}})
			if err != nil {
				return err
			}
			defer func() { _ = answer.Body.Close() }()
			if answer.StatusCode != http.StatusOK { // after the redirect to the page
				return fmt.Errorf("%s on the payment page: HTTP %d", action, answer.StatusCode)
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("got no payment page in: %s", b)
		}
		time.Sleep(10 * time.Millisecond) // another process writes the file
	}
}
