import { Link } from 'react-router';
import { useSite } from '../api/site';
import './site-links.css';

/** The links below the pages without a session: public pages, documentation, support and terms. */
export function SiteLinks() {
  const site = useSite();
  return (
    <ul className="site-links" aria-label="Links">
      {site?.publicPages.prices && (
        <li>
          <Link to="/prices">Prices</Link>
        </li>
      )}
      {site?.publicPages.status && (
        <li>
          <Link to="/status">Status</Link>
        </li>
      )}
      <li>
        <a href="/docs">API documentation</a>
      </li>
      {site?.supportAddress && (
        <li>
          <a href={`mailto:${site.supportAddress}`}>Support</a>
        </li>
      )}
      {site?.termsUrl && (
        <li>
          <a href={site.termsUrl}>Terms of service</a>
        </li>
      )}
      {site?.privacyUrl && (
        <li>
          <a href={site.privacyUrl}>Privacy policy</a>
        </li>
      )}
    </ul>
  );
}
