"""The paper's proposal: do genes that make the weights train faster, and mind mutation less?"""
