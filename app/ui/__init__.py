"""The web pages, a Streamlit application; they call the service over HTTP through `larder_client` alone."""
