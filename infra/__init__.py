"""Tools that know nothing of movies, users or HTTP routes: another project could take them."""
